"""Fixtures of the engine's tests: an upstream server, and agents that ask it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chat.engine import Agent, Limits
from chat.engine.providers.openai import OpenAIProvider

from ..support.upstream import Upstream

KEY = "sk-test-key-of-the-suite"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment may name a proxy, which cannot reach the upstream."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")


@pytest.fixture(autouse=True)
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that want retries set `Limits.max_retries`."""
    monkeypatch.setenv("NOUS_CHAT_MAX_RETRIES", "0")


@pytest.fixture(scope="session")
def provider() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def agent(provider: Upstream) -> Callable[..., Agent]:
    """Make an agent with the upstream's model of that name and with those limits: `agent("words@n=5", idle=0.2)`."""

    def make(model: str, **limits: Any) -> Agent:
        upstream_model = OpenAIProvider("custom", model, provider.url, KEY, "CUSTOM_API_KEY")
        return Agent(upstream_model, limits=Limits(**limits))

    return make
