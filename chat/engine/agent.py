"""What answers: a model with its instructions and limits. Sites make agents, run_stream runs them."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from .limits import Limits
from .providers.provider import Provider


@dataclass(frozen=True, slots=True)
class Agent:
    """`model` is "provider:model" (the list: providers/__init__.py) or a Provider of your own.

    `settings` are fields added to the provider's request as they are: `{"temperature": 0.2}`.
    """

    model: str | Provider
    _: KW_ONLY
    instructions: str = ""
    limits: Limits = field(default_factory=Limits)
    name: str = "assistant"
    settings: Mapping[str, Any] = field(default_factory=dict)
