"""What the live servers are provisioned with: providers and models, for each space."""

from tests.sounds import audio_models
from tests.upstream import Upstream

SPACES = 200

SPACE = """
[[providers]]
slug = "p{number}"
kind = "openai"
base_url = "{base_url}"
api_key = "sk-upstream-{number}-canary"
private_network = true

[[providers]]
slug = "a{number}"
kind = "anthropic"
base_url = "{base_url}"
api_key = "sk-ant-{number}-canary"
private_network = true

[[models]]
id = "s{number}/claude"
context_length = 200000
max_output_tokens = 16384
input = ["text", "image"]
price = {{ input = "2.50", output = "20.00", cached_input = "0.25", cache_write = "3.75" }}
[[models.endpoints]]
provider = "a{number}"
upstream_model = "claude-sonnet-4-5"

[[providers]]
slug = "g{number}"
kind = "gemini"
base_url = "{base_url}"
api_key = "AIza-{number}-canary"
private_network = true

[[models]]
id = "s{number}/gemini"
context_length = 200000
max_output_tokens = 16384
price = {{ input = "2.50", output = "20.00", cached_input = "0.25" }}
[[models.endpoints]]
provider = "g{number}"
upstream_model = "gemini-3-pro"

[[models]]
id = "s{number}/large"
context_length = 128000
max_output_tokens = 16384
input = ["text", "image"]
price = {{ input = "2.50", output = "20.00", cached_input = "0.25" }}
[[models.endpoints]]
provider = "p{number}"
upstream_model = "fake-model"

[[models]]
id = "s{number}/embed"
context_length = 8192
output = ["embeddings"]
price = {{ input = "0.10" }}
[[models.endpoints]]
provider = "p{number}"
upstream_model = "fake-embed"

[[models]]
id = "s{number}/image"
output = ["image"]
price = {{ per_image = {{ "1024x1024/high" = "0.17", default = "0.04" }} }}
[[models.endpoints]]
provider = "p{number}"
upstream_model = "fake-image"
"""
"""What each space has, all priced alike; to be formatted."""


def config_for(upstream: Upstream, spaces: int = SPACES) -> str:
    """Write a provisioning file."""
    parts = ['[gateway]\nreference_model = "s0/large"\ndefault_rate_limit_rpm = 0\n']
    for number in range(spaces):
        base_url = upstream.base_url(f"s{number}")
        parts += [SPACE.format(number=number, base_url=base_url), audio_models(number)]
    return "".join(parts)
