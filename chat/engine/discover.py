"""Finds a default model: that of a key in the environment, or one of a local server. The site asks once, at its
start."""

import os
from collections.abc import Iterator, Mapping

import httpx
import msgspec

from .providers.vendors import VENDORS, base_url, setting


def model_from_environment(environ: Mapping[str, str] = os.environ) -> str | None:
    """The default model of the first provider whose key is set, as "provider:model"."""
    for name, vendor in VENDORS.items():
        if vendor.default_model and setting(environ, name, "API_KEY"):
            return f"{name}:{vendor.default_model}"
    return None


def find_local_model(timeout: float = 0.3, environ: Mapping[str, str] = os.environ) -> str | None:
    """The first model of Ollama, else of LM Studio, on its usual port (or at <NAME>_BASE_URL), as "provider:model".
    Waits at most `timeout` seconds for each of the two."""
    with httpx.Client(timeout=timeout, trust_env=False) as client:
        for name, path in (("ollama", "/api/tags"), ("lmstudio", "/v1/models")):
            address = base_url(environ, name).removesuffix("/v1") + path
            try:
                listing = msgspec.json.decode(client.get(address).content)
            except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
                continue
            for model in _model_names(listing):
                if "embed" not in model:  # both list embedding models as well
                    return f"{name}:{model}"
    return None


def _model_names(listing: object) -> Iterator[str]:
    """Ollama: {"models": [{"name"}]}; LM Studio: {"data": [{"id"}]}."""
    if not isinstance(listing, dict):
        return
    for model in listing.get("models") or listing.get("data") or ():
        name = isinstance(model, dict) and (model.get("name") or model.get("id"))
        if isinstance(name, str):
            yield name
