"""OpenAI's SDK of the second line, and what stands on it: what each made of the answers."""

from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from line import serve
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike
from openai import OpenAI
from pydantic import BaseModel

USER = [{"role": "user", "content": "hello there"}]
QUESTION = "How is the weather in Oslo?"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class Report(BaseModel):
    """What a structured answer has."""

    city: str
    degrees: int


def sdk(asked: dict[str, Any], *, is_strict: bool = True) -> OpenAI:
    return OpenAI(
        base_url=f"{asked['base_url']}{asked.get('prefix', '/v1')}",
        api_key=asked["key"],
        max_retries=0,
        timeout=30,
        _strict_response_validation=is_strict,
    )


def chat(asked: dict[str, Any]) -> Any:
    fields = {"messages": USER, "model": asked["model"], **asked.get("fields", {})}
    with sdk(asked) as client:
        return client.chat.completions.create(**fields).model_dump()


def chat_stream(asked: dict[str, Any]) -> Any:
    fields = {"messages": USER, "model": asked["model"], **asked.get("fields", {})}
    with sdk(asked) as client:
        return [
            chunk.model_dump() for chunk in client.chat.completions.create(**fields, stream=True)
        ]


def chat_tools(asked: dict[str, Any]) -> Any:
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    turns = []
    with sdk(asked) as client:
        while len(turns) < 5:
            told = client.chat.completions.create(
                model=asked["model"], messages=messages, tools=[WEATHER]
            )
            turns.append(told.model_dump())
            calls = told.choices[0].message.tool_calls
            if not calls:
                break
            messages.append(told.choices[0].message)
            messages += [
                {"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in calls
            ]
    return turns


def chat_structured(asked: dict[str, Any]) -> Any:
    with sdk(asked) as client:
        told = client.chat.completions.parse(
            model=asked["model"], messages=USER, response_format=Report
        )
    return told.choices[0].message.parsed.model_dump()


def responses(asked: dict[str, Any]) -> Any:
    with sdk(asked) as client:
        told = client.responses.create(model=asked["model"], input="hello there")
        return {**told.model_dump(), "output_text": told.output_text}


def responses_stream(asked: dict[str, Any]) -> Any:
    with sdk(asked) as client, client.responses.stream(model=asked["model"], input="hi") as told:
        events = [(event.type, event.sequence_number) for event in told]
        return {"events": events, "text": told.get_final_response().output_text}


def responses_structured(asked: dict[str, Any]) -> Any:
    with sdk(asked) as client:
        told = client.responses.parse(model=asked["model"], input="hi", text_format=Report)
        return told.output_parsed.model_dump()


def responses_tools(asked: dict[str, Any]) -> Any:
    weather = {"type": "function", **WEATHER["function"]}
    sent: list[Any] = [{"role": "user", "content": QUESTION}]
    with sdk(asked) as client:
        first = client.responses.create(model=asked["model"], input=sent, tools=[weather])
        sent += first.output
        sent += [
            {"type": "function_call_output", "call_id": item.call_id, "output": "rain"}
            for item in first.output
            if item.type == "function_call"
        ]
        second = client.responses.create(model=asked["model"], input=sent, tools=[weather])
    return {"first": first.model_dump(), "text": second.output_text}


def embeddings(asked: dict[str, Any]) -> Any:
    """Not strict: the SDK asks for base64 by itself, and its own check knows numbers only."""
    with sdk(asked, is_strict=False) as client:
        told = client.embeddings.create(model=asked["model"], input=["one", "two"])
        return told.model_dump()


def models(asked: dict[str, Any]) -> Any:
    with sdk(asked) as client:
        return [model.id for model in client.models.list()]


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"rain in {city}"


def langchain(asked: dict[str, Any], **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=asked["model"],
        base_url=f"{asked['base_url']}/v1",
        api_key=asked["key"],
        max_retries=0,
        timeout=30,
        **options,
    )


def langchain_invoke(asked: dict[str, Any]) -> Any:
    told = langchain(asked, **asked.get("options", {})).invoke(
        [SystemMessage("Be brief."), HumanMessage("hello there")]
    )
    return {"text": told.text, "usage": told.usage_metadata, "of": told.response_metadata}


def langchain_stream(asked: dict[str, Any]) -> Any:
    chunks = list(langchain(asked, stream_usage=True).stream("hello there"))
    usages = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    return {"texts": [chunk.text for chunk in chunks if chunk.text], "usages": usages}


def langchain_tools(asked: dict[str, Any]) -> Any:
    bound = langchain(asked).bind_tools([weather])
    messages: list[Any] = [HumanMessage(QUESTION)]
    first = bound.invoke(messages)
    messages.append(first)
    messages += [
        ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
        for call in first.tool_calls
    ]
    return {"calls": first.tool_calls, "text": bound.invoke(messages).text}


def langchain_stream_tools(asked: dict[str, Any]) -> Any:
    whole = None
    for chunk in langchain(asked).bind_tools([weather]).stream(QUESTION):
        whole = chunk if whole is None else whole + chunk
    return whole.tool_calls


def langchain_structured(asked: dict[str, Any]) -> Any:
    return langchain(asked).with_structured_output(Report).invoke("hello").model_dump()


def llama(asked: dict[str, Any]) -> OpenAILike:
    return OpenAILike(
        model=asked["model"],
        api_base=f"{asked['base_url']}/v1",
        api_key=asked["key"],
        is_chat_model=True,
        max_retries=0,
        timeout=30,
    )


def llama_complete(asked: dict[str, Any]) -> Any:
    return llama(asked).complete("hello there").text


def llama_chat(asked: dict[str, Any]) -> Any:
    told = llama(asked).chat(
        [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="hi")]
    )
    return told.message.content


def llama_stream(asked: dict[str, Any]) -> Any:
    return [part.delta for part in llama(asked).stream_complete("hello there")]


CASES = (
    chat, chat_stream, chat_tools, chat_structured, responses, responses_stream,
    responses_structured, responses_tools, embeddings, models, langchain_invoke, langchain_stream,
    langchain_tools, langchain_stream_tools, langchain_structured, llama_complete, llama_chat,
    llama_stream,
)  # fmt: skip

serve({case.__name__: case for case in CASES})
