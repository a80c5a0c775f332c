"""nousproject's settings with an agent for each recording: one site, many providers."""

import json
from pathlib import Path
from typing import Any

from nousproject.settings import *  # noqa: F403

from ..support.servers import SHARED

PROVIDER = {"openai": "custom", "anthropic": "anthropic", "gemini": "gemini", "ollama": "ollama"}
PIECES = ("", "@split=1", "@split=7")
"""How the replayer cuts the body: as it likes, into single bytes, or into pieces of seven bytes."""


def recordings() -> list[tuple[str, dict[str, Any]]]:
    """Name and description of each recording whose wire format we support."""
    files = sorted(Path(SHARED, "recordings").rglob("*.json"))
    described = [(file.stem, json.loads(file.read_text("utf-8"))) for file in files]
    return [(slug, case) for slug, case in described if case["wire"] in PROVIDER]


NOUS_CHAT = {
    "AGENTS": {
        f"{slug}{pieces}": {"model": f"{PROVIDER[case['wire']]}:{slug}{pieces}"}
        for slug, case in recordings()
        for pieces in PIECES
    },
    "COMMAND_BURST": 100_000,  # one user plays all recordings, a socket for each
}


def environment(url: str) -> dict[str, str]:
    """Environment that points every provider at the replayer."""
    return {
        "DJANGO_SETTINGS_MODULE": "tests.sites.recorded",
        "CUSTOM_BASE_URL": f"{url}/v1",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-test-0123456789",
        "GEMINI_BASE_URL": url,
        "GEMINI_API_KEY": "test-0123456789",
        "OLLAMA_BASE_URL": url,
    }
