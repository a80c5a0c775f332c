"""What the engine's tests share: an upstream, and ways to put an answer through the engine."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chat.engine import Agent, Limits
from chat.engine.providers.openai import OpenAIProvider

from ..upstream import Upstream

KEY = "sk-test-key-of-the-suite"


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
