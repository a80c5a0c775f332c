"""What answers: a model with its instructions, tools and limits. Sites make agents, run_stream runs them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from .exceptions import ConfigurationError
from .limits import Limits
from .providers.provider import Provider
from .tools import Tool


@dataclass(frozen=True, slots=True)
class Agent:
    """`model` is "provider:model" (the list: providers/__init__.py) or a Provider of your own.

    `settings` are fields added to the provider's request as they are: `{"temperature": 0.2}`; models of `fallback` get
    them only where they are of the same provider, since no two vendors' fields are alike.

    `tools` are Tools, or plain functions that become such. `fallback` are the models that are asked, one after another,
    where the ones before them fail before their first word (retry.py). `output_type` is what the answer shall be
    (output.py): a dataclass, a msgspec or pydantic type, or a JSON Schema.
    """

    model: str | Provider
    _: KW_ONLY
    instructions: str = ""
    limits: Limits = field(default_factory=Limits)
    name: str = "assistant"
    settings: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[Tool[..., Any] | Callable[..., Any]] = ()
    fallback: Sequence[str | Provider] = ()
    output_type: Any = None

    def __post_init__(self) -> None:
        names = [tool.name for tool in self.toolbox]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigurationError(f"The agent {self.name!r} has two tools named {', '.join(sorted(twice))}.")
        object.__setattr__(self, "tools", self.toolbox)

    @property
    def toolbox(self) -> tuple[Tool[..., Any], ...]:
        """`tools`, all of them Tools."""
        return tuple(tool if isinstance(tool, Tool) else Tool(tool) for tool in self.tools)
