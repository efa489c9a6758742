"""The vendors whose key in the environment turns a provider on: where they are, what they speak.

Each speaks OpenAI's dialect unless its kind says otherwise, at the address given here, which is
the vendor's documented one; where it has hosts by region, the international one.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor. `listed_as` is its name in the price list, `author` the prefix of its models' ids.

    `authors` are prefixes of upstream names that others wrote. `cancel_stops_billing` is said only
    of vendors that are known to stop; of the others a cut stream is drained and paid as it was.
    """

    base_url: str
    apis: tuple[str, ...]
    listed_as: str
    author: str | None = None
    authors: dict[str, str] = field(default_factory=dict)
    cancel_stops_billing: bool = False
    hosted_tools: tuple[str, ...] = ()
    kind: str = "openai"
    regions: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()


VENDORS = {
    "openai": Vendor(
        base_url="https://api.openai.com/v1",
        apis=(
            "chat", "completions", "responses", "embeddings", "moderations", "images", "audio",
        ),
        listed_as="openai",
        author="openai",
        cancel_stops_billing=True,
    ),
    "anthropic": Vendor(
        kind="anthropic",
        base_url="https://api.anthropic.com/v1",
        apis=("messages",),
        listed_as="anthropic",
        author="anthropic",
        cancel_stops_billing=True,
    ),
    "gemini": Vendor(
        kind="gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        apis=("gemini", "embeddings", "images"),
        listed_as="gemini",
        author="google",
    ),
    "deepseek": Vendor(
        base_url="https://api.deepseek.com/v1",
        apis=("chat",),
        listed_as="deepseek",
        author="deepseek",
        cancel_stops_billing=True,
    ),
    "dashscope": Vendor(
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        apis=("chat", "embeddings"),
        listed_as="dashscope",
        author="qwen",
        authors={"deepseek": "deepseek", "glm": "zhipu", "kimi": "moonshot"},
    ),
    "zhipu": Vendor(
        base_url="https://api.z.ai/api/paas/v4",
        apis=("chat", "embeddings", "images"),
        listed_as="zai",
        author="zhipu",
    ),
    "moonshot": Vendor(
        base_url="https://api.moonshot.ai/v1",
        apis=("chat",),
        listed_as="moonshot",
        author="moonshot",
    ),
    "minimax": Vendor(
        base_url="https://api.minimax.io/v1",
        apis=("chat",),
        listed_as="minimax",
        author="minimax",
    ),
    "ark": Vendor(
        base_url="https://ark.cn-beijing.volces.com/api/v3",
        apis=("chat", "embeddings", "images"),
        listed_as="volcengine",
        author="doubao",
    ),
    "mistral": Vendor(
        base_url="https://api.mistral.ai/v1",
        apis=("chat", "embeddings", "moderations", "audio"),
        listed_as="mistral",
        author="mistral",
    ),
    "xai": Vendor(
        base_url="https://api.x.ai/v1",
        apis=("chat", "responses", "images"),
        listed_as="xai",
        author="xai",
        cancel_stops_billing=True,
    ),
    "groq": Vendor(
        base_url="https://api.groq.com/openai/v1",
        apis=("chat", "audio"),
        listed_as="groq",
        authors={"whisper": "openai", "llama": "meta-llama"},
    ),
    "openrouter": Vendor(
        base_url="https://openrouter.ai/api/v1",
        apis=("chat",),
        listed_as="openrouter",
    ),
}  # fmt: skip
"""By the slug of the provider, which is the setting's name in lower case; the order is that of
preference where several serve one model."""


def model_id_of(slug: str, upstream_model: str) -> str:
    """Return the canonical `author/model` of a vendor's own name for a model."""
    vendor = VENDORS[slug]
    name = upstream_model.lower()
    for prefix, author in vendor.authors.items():
        if name.startswith(prefix):
            return f"{author}/{name}"
    if vendor.author is None:
        return name if "/" in name else f"{slug}/{name}"
    return f"{vendor.author}/{name}"
