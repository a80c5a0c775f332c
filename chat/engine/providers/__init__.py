"""Makes the provider of a "provider:model" string.

The model may contain any character, ":" too; without one the provider's default model is used. Keys and addresses come
from the environment: <NAME>_API_KEY and <NAME>_BASE_URL.
"""

import os
from collections.abc import Mapping

from ..exceptions import ConfigurationError, MissingKeyError
from .anthropic import AnthropicProvider
from .demo import demo_provider
from .gemini import GeminiProvider
from .http_provider import HTTPProvider
from .ollama import OllamaProvider
from .openai import OpenAIProvider
from .provider import Provider
from .vendors import VENDORS, base_url, setting

__all__ = ["provider_for", "reach"]


def provider_for(model: str | Provider, environ: Mapping[str, str] = os.environ) -> Provider:
    """Raises ConfigurationError if the string names no provider, or if the environment lacks its settings."""
    if not isinstance(model, str):
        return model
    name, colon, rest = model.strip().partition(":")
    if name == "demo":
        return demo_provider(rest)
    if name in VENDORS:
        return _over_http(name, rest, environ)
    known = ", ".join(["demo", *VENDORS])
    if not colon:
        raise ConfigurationError(f'{model!r} is not a model. Write "provider:model", with one of {known}.')
    raise ConfigurationError(f"There is no provider {name!r}. Choose one of {known}.")


async def reach(model: str, environ: Mapping[str, str] = os.environ) -> None:
    """Connect to the server of a model. Raises EngineError if it cannot be reached, or is not configured."""
    provider = provider_for(model, environ)
    if isinstance(provider, HTTPProvider):
        await provider.reach()


def _over_http(name: str, model: str, environ: Mapping[str, str]) -> Provider:
    vendor = VENDORS[name]
    model = model or vendor.default_model
    if not model:
        raise ConfigurationError(f'Which model of {name}? Write "{name}:model".')
    url = base_url(environ, name)
    if not url.startswith(("http://", "https://")):
        variable = f"{name.upper()}_BASE_URL"
        raise ConfigurationError(f'{variable} must be the address of the API: "https://host/v1".')
    variable = f"{name.upper()}_API_KEY"
    key = setting(environ, name, "API_KEY")
    if not key and not vendor.local:
        raise MissingKeyError(f"There is no key for {name}. Set {variable} and start again.")
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(f"{variable} contains characters that no key has. Copy the key again.")
    if name == "ollama" and not url.endswith("/v1"):
        return OllamaProvider(name, model, url, key, variable)
    match vendor.wire:
        case "anthropic":
            return AnthropicProvider(name, model, url, key, variable)
        case "gemini":
            return GeminiProvider(name, model, url, key, variable)
        case "openai":
            return OpenAIProvider(
                name,
                model,
                url,
                key,
                variable,
                limit_field=vendor.limit_field,
                strict=vendor.strict,
                replays=vendor.replays,
                schemas=vendor.schemas,
                alternate=vendor.local,
            )
