"""The site's settings with an agent for each recording: one site, many providers. `agent_of` names them."""

import json
from pathlib import Path
from typing import Any

from nousproject.settings import *  # noqa: F403

from ..support.servers import SHARED

PROVIDER = {"openai": "custom", "anthropic": "anthropic", "gemini": "gemini", "ollama": "ollama"}
PIECES = ("", "@split=1", "@split=7")
"""The body as the server likes, a byte at a time, and seven at a time for the long ones."""


def recordings() -> list[tuple[str, dict[str, Any]]]:
    """Each recording's name and description, of the wires that the product speaks."""
    files = sorted(Path(SHARED, "recordings").rglob("*.json"))
    described = [(file.stem, json.loads(file.read_text("utf-8"))) for file in files]
    return [(slug, case) for slug, case in described if case["wire"] in PROVIDER]


NOUS_CHAT = {
    "AGENTS": {
        f"{slug}{pieces}": {"model": f"{PROVIDER[case['wire']]}:{slug}{pieces}"}
        for slug, case in recordings()
        for pieces in PIECES
    }
}


def environment(url: str) -> dict[str, str]:
    """Points every provider at the replayer."""
    return {
        "DJANGO_SETTINGS_MODULE": "tests.sites.recorded",
        "CUSTOM_BASE_URL": f"{url}/v1",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-test-0123456789",
        "GEMINI_BASE_URL": url,
        "GEMINI_API_KEY": "test-0123456789",
        "OLLAMA_BASE_URL": url,
    }
