"""What the engine's tests share: an upstream, and ways to put an answer through the engine."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from chat.engine import Agent, Limits
from chat.engine.providers.openai import OpenAIProvider

from ..support.upstream import Upstream

KEY = "sk-test-key-of-the-suite"

settings.register_profile("engine", deadline=None, database=None)  # how fast the machine is proves nothing
settings.load_profile("engine")


@pytest.fixture(autouse=True)
def _directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not through a proxy that the environment may name."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again, unless a test asks for it."""
    monkeypatch.setenv("NOUS_CHAT_MAX_RETRIES", "0")


@pytest.fixture(scope="session")
def provider() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def agent(provider: Upstream) -> Callable[..., Agent]:
    """`agent("words@n=5", idle=0.2)`: an agent whose model behaves so, with those limits."""

    def make(model: str, **limits: Any) -> Agent:
        made = OpenAIProvider("custom", model, provider.url, KEY, "CUSTOM_API_KEY")
        return Agent(made, limits=Limits(**limits))

    return make
