"""Anthropic's SDK: what it made of each answer."""

from typing import Any

from anthropic import Anthropic
from line import serve

USER = [{"role": "user", "content": "hello there"}]
WEATHER = {
    "name": "weather",
    "description": "Tell the weather.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def sdk(asked: dict[str, Any]) -> Anthropic:
    return Anthropic(
        base_url=asked["base_url"],
        max_retries=0,
        timeout=30,
        _strict_response_validation=True,
        **({"auth_token": asked["key"]} if asked.get("bearer") else {"api_key": asked["key"]}),
    )


def create(asked: dict[str, Any]) -> Any:
    """One message; `fields` go into it."""
    fields = {"max_tokens": 100, "messages": USER, "model": asked["model"], **asked["fields"]}
    with sdk(asked) as client:
        told = client.messages.create(**fields)
        return {**told.model_dump(), "request_id": told._request_id}


def stream(asked: dict[str, Any]) -> Any:
    """The SDK's own stream helper: the text as it came, the events, the message at the end."""
    fields = {"max_tokens": 100, "messages": USER, "model": asked["model"], **asked["fields"]}
    with sdk(asked) as client, client.messages.stream(**fields) as told:
        kinds, texts, fragments = [], [], []
        for event in told:
            kinds.append(event.type)
            if event.type == "text":
                texts.append(event.text)
            if event.type == "input_json":
                fragments.append(event.partial_json)
        final = told.get_final_message()
    return {
        "kinds": kinds,
        "texts": texts,
        "fragments": fragments,
        "final": final.model_dump(),
    }


def tool_loop(asked: dict[str, Any]) -> Any:
    """Call, run the tool, send its result back, as the SDK's documentation shows it."""
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Oslo?"}]
    turns = []
    with sdk(asked) as client:
        while len(turns) < 5:
            told = client.messages.create(
                model=asked["model"],
                max_tokens=100,
                messages=messages,
                tools=[WEATHER],
                tool_choice={"type": "auto"},
            )
            turns.append(told.model_dump())
            if told.stop_reason != "tool_use":
                break
            results = [
                {"type": "tool_result", "tool_use_id": block.id, "content": "rain"}
                for block in told.content
                if block.type == "tool_use"
            ]
            messages += [
                {"role": "assistant", "content": told.content},
                {"role": "user", "content": results},
            ]
    return turns


def count(asked: dict[str, Any]) -> Any:
    with sdk(asked) as client:
        return client.messages.count_tokens(
            model=asked["model"], messages=USER, system="Be brief.", tools=[WEATHER]
        ).input_tokens


serve({"create": create, "stream": stream, "tool_loop": tool_loop, "count": count})
