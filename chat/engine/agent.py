"""An agent: a model with its instructions, tools and limits. Sites define agents, run_stream runs them."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, cast

from .breaker import Breakers
from .exceptions import ConfigurationError
from .limits import Limits
from .providers.provider import Provider, Sampling
from .tools import Tool


@dataclass(frozen=True, slots=True)
class Agent:
    """`model` is "provider:model" (providers/vendors.py lists the providers), or a Provider of your own.

    `settings` are fields added to the provider's request unchanged, such as `{"top_p": 0.9}`; None leaves out a field
    that the engine would send. Models of `fallback` get them only if they belong to the same provider, because vendors
    use different fields. `sampling` is for all of them: each wire has its own names for it.

    `tools` are Tools or plain functions. `fallback` are the models to ask, in this order, if the one before fails
    before its first delta (retry.py). `output_type` is the type of the answer (structured_output.py): a dataclass, a
    msgspec or pydantic type, or a JSON Schema.

    Raises ConfigurationError if two tools have the same name.
    """

    model: str | Provider
    _: KW_ONLY
    instructions: str = ""
    limits: Limits = field(default_factory=Limits)
    name: str = "assistant"
    settings: Mapping[str, Any] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    tools: Sequence[Tool[..., Any] | Callable[..., Any]] = ()
    fallback: Sequence[str | Provider] = ()
    output_type: Any = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    """Where the keys and addresses of providers are read: OPENAI_API_KEY and so on."""
    breakers: Breakers | None = field(default=None, repr=False, compare=False)
    """Share them among agents: models that fail again and again are not asked for a while (breaker.py)."""

    trace_content: bool = False
    """Whether the spans of OpenTelemetry hold texts: instructions, messages, arguments and results of tools."""

    def __post_init__(self) -> None:
        tools = tuple(tool if isinstance(tool, Tool) else Tool(tool) for tool in self.tools)
        names = [tool.name for tool in tools]
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise ConfigurationError(f"The agent {self.name!r} has two tools named {', '.join(sorted(duplicates))}.")
        object.__setattr__(self, "tools", tools)

    @property
    def wrapped_tools(self) -> tuple[Tool[..., Any], ...]:
        """`tools` by their type after `__post_init__`, which has wrapped the plain functions."""
        return cast(tuple[Tool[..., Any], ...], self.tools)
