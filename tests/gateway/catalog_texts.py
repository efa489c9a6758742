"""A provisioning file that uses every table and every kind of field."""

FULL = """
[gateway]
name = "Acme \\"AI\\""
markup_bps = 250
region_hosts = { "eu.example.com" = "eu" }
[[providers]]
slug = "acme-one"
kind = "openai"
base_url = "https://llm.acme.example/v1"
api_key = "${ACME_ONE_KEY}"
apis = ["chat", "responses"]
hosted_tools = ["web_search"]
regions = ["eu"]
platforms = ["intl"]
idle_timeout_s = 0.5
cancel_stops_billing = false
[[providers]]
slug = "many"
base_url = "https://many.example/v1"
api_keys = ["${MANY_KEY_1}", "${MANY_KEY_2}"]
[[providers]]
slug = "gpu"
base_url = "http://127.0.0.1:8001/v1"
private_network = true
local = true
[[models]]
id = "acme/large"
name = "Large"
context_length = 128000
max_output_tokens = 8192
input = ["text", "image"]
tags = ["code"]
class = "premium"
quality = 82
max_image_tokens = 5000
supported_parameters = ["tools"]
can_reason = true
markup_bps = 0
description = "Multi\\nline"
created = 1700000000
[models.price]
input = "2.50"
output = "10.00"
cached_input = "0.000000001"
web_search = "0.01"
per_minute = "0.006"
per_image = { "1024x1024/high" = "0.17", default = "0.04" }
above = [ { input_tokens = 200000, input = "5.00", output = "15.00" } ]
[[models.endpoints]]
provider = "acme-one"
upstream_model = "large"
priority = 2
weight = 3
apis = ["chat"]
hosted_tools = []
stateful = true
price = { input = "2.00", output = "8.00" }
cost = { input = "1.80", output = "7.20" }
[[models.endpoints]]
provider = "openai"
upstream_model = "gpt-4o"
[[models]]
id = "local/llama"
price = { input = "0", output = "0" }
[[models.endpoints]]
provider = "gpu"
upstream_model = "llama"
[[aliases]]
id = "auto"
task = "code"
candidates = ["acme/large"]
tasks = { code = ["acme/large"], "writing well" = [] }
[[plans]]
slug = "starter"
price_usd_month = "12.00"
tokens_month = 50000000
model_classes = ["standard"]
rate_limit_rpm = 7
priority = 1
[topups]
min_usd = "5.00"
first_bonus_usd = "1.00"
unlocks_classes = ["premium"]
bonus = [ { from_usd = "50", percent = 10 }, { from_usd = "100", percent = 20 } ]
[trial]
calls = 10
model_classes = ["free"]
[demo_key]
enabled = true
calls_per_ip_per_day = 5
models = ["acme/large"]
[byok]
fee_usd_per_million_tokens = "0.50"
[batch]
discount_percent = 50
max_requests = 900
"""
