"""The site's settings with an agent for each recording, as it is and a byte at a time: one site, many providers."""

from nousproject.settings import *  # noqa: F403

from .servers import SHARED

_models = [meta.stem + options for meta in (SHARED / "recordings").rglob("*.json") for options in ("", "@split=1")]
NOUS_CHAT = {"AGENTS": {model: {"model": f"custom:{model}"} for model in _models}}
