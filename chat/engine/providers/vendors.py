"""The table of vendors, one line each, and their settings in the environment. Most of them are compatible with OpenAI's
API and differ only in address and key. `provider_for` and discover.py read it."""

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Vendor(NamedTuple):
    """`default_model` is used if a key is set and no model is named: cheap, fast, and not about to be retired. `local`
    vendors need no key. `wire` is the format; Ollama's own is chosen by its address (`base_url`). OpenAIProvider
    explains the last four fields."""

    base_url: str
    default_model: str = ""
    local: bool = False
    wire: Literal["openai", "anthropic", "gemini"] = "openai"
    limit_field: str = "max_tokens"
    strict: bool = False
    replays: str = ""
    schemas: bool = True


VENDORS = {
    "openai": Vendor("https://api.openai.com/v1", "gpt-6-luna", limit_field="max_completion_tokens"),
    "anthropic": Vendor("https://api.anthropic.com", "claude-haiku-5-5", wire="anthropic"),
    "gemini": Vendor("https://generativelanguage.googleapis.com", "gemini-3.8-flash", wire="gemini"),
    "groq": Vendor("https://api.groq.com/openai/v1", "openai/gpt-oss-120b"),
    "mistral": Vendor("https://api.mistral.ai/v1", "mistral-small-latest", strict=True),
    "openrouter": Vendor("https://openrouter.ai/api/v1", "openrouter/auto", replays="reasoning_details"),
    "together": Vendor("https://api.together.xyz/v1", "openai/gpt-oss-120b"),
    "deepseek": Vendor("https://api.deepseek.com/v1", "deepseek-flash", replays="reasoning_content", schemas=False),
    "xai": Vendor("https://api.x.ai/v1", "grok-4.3"),
    "ollama": Vendor("http://127.0.0.1:11434/v1", local=True),
    "lmstudio": Vendor("http://127.0.0.1:1234/v1", local=True),
    "vllm": Vendor("http://127.0.0.1:8000/v1", local=True),
    "sglang": Vendor("http://127.0.0.1:30000/v1", local=True),
    "llamacpp": Vendor("http://127.0.0.1:8080/v1", local=True),
    "custom": Vendor("", local=True),
}

OPENAI_WIRE = {name: vendor for name, vendor in VENDORS.items() if vendor.wire == "openai"}


def setting(environ: Mapping[str, str], name: str, what: str) -> str:
    """`setting(environ, "groq", "API_KEY")` is GROQ_API_KEY, without the blanks and line ends that pasting leaves."""
    return environ.get(f"{name.upper()}_{what}", "").strip()


def base_url(environ: Mapping[str, str], name: str) -> str:
    """<NAME>_BASE_URL, or the vendor's usual address, or "". The `/v1` of local servers may be missing and is added;
    for Ollama, its absence selects Ollama's own API."""
    vendor = VENDORS[name]
    url = setting(environ, name, "BASE_URL").rstrip("/") or vendor.base_url
    if vendor.base_url and vendor.local and url.count("/") == 2 and name != "ollama":
        url += "/v1"
    return url
