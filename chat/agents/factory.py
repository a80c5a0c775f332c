"""From the description of an agent to the agent that the engine runs."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.module_loading import import_string

from .. import engine
from ..conf import AgentConf, conf
from .breakers import breakers


def model_of(agent: AgentConf) -> str:
    """The model's name, as the page shows it; for a custom agent its dotted path."""
    return agent.agent or agent.model or conf.MODEL


def writes_documents(agent: AgentConf) -> bool:
    """Whether it has the tools for documents. The built-in demo has, so that there is something to try."""
    return agent.documents or _is_demo(agent)


def _is_demo(agent: AgentConf) -> bool:
    """Whether it is the guided tour, and has no tools of its own."""
    return not (agent.agent or agent.tools) and model_of(agent) in ("demo", "demo:tour")


def environ() -> Mapping[str, str]:
    """The environment, with the keys and addresses of PROVIDERS."""
    given: dict[str, str] = {}
    for name, provider in conf.PROVIDERS.items():
        given |= {f"{name.upper()}_API_KEY": provider.api_key, f"{name.upper()}_BASE_URL": provider.base_url}
    return os.environ | {variable: value for variable, value in given.items() if value} if given else os.environ


def build(
    agent: AgentConf, instructions: str = "", more_tools: Sequence[str | Callable[..., Any]] = ()
) -> engine.Agent | engine.CustomAgent:
    """The agent that the engine runs. Cheap: it opens no connection. Raises engine.ConfigurationError, whatever the
    site's modules raise.

    `instructions` and `more_tools` are what it has in a room in addition to its own; a custom agent gets neither.
    """
    if agent.agent:
        own: engine.Agent | engine.CustomAgent = _load(agent.agent)
        if not isinstance(own, engine.Agent | engine.CustomAgent):
            raise engine.ConfigurationError(f"{agent.agent} is no agent: it has no `run_stream`.")
        return own
    if unknown := set(agent.tools) - set(registered_tools()):  # an agent in the database has no others
        raise engine.ConfigurationError(f"The site has no tool {', '.join(sorted(unknown))} (AGENTS, TOOLS).")
    tools = tuple(_load(tool) if isinstance(tool, str) else tool for tool in (*agent.tools, *more_tools))
    if not tools and _is_demo(agent):
        tools = engine.DEMO_TOOLS
    return engine.Agent(
        model_of(agent),
        name=agent.name,
        instructions="\n\n".join(filter(None, [agent.instructions, instructions])),
        fallback=agent.fallback,
        settings=agent.settings,
        sampling=engine.Sampling(agent.temperature, agent.reasoning_effort),
        tools=tools,
        environ=environ(),
        breakers=breakers(),
        trace_content=conf.TRACE_CONTENT,
        limits=engine.Limits(
            connect=conf.CONNECT_TIMEOUT,
            first_token=conf.FIRST_TOKEN_TIMEOUT,
            idle=conf.IDLE_TIMEOUT,
            total=agent.total_timeout or conf.TOTAL_TIMEOUT,
            max_output_tokens=agent.max_output_tokens,
            max_turns=agent.max_turns,
        ),
    )


def registered_tools() -> tuple[str, ...]:
    """The dotted paths of all tools that an agent may have: those of TOOLS, and of the agents in the settings."""
    return tuple(dict.fromkeys([*conf.TOOLS, *(tool for agent in conf.AGENTS.values() for tool in agent.tools)]))


def offered_tools() -> tuple[str, ...]:
    """Those of them that agents in the database may choose. Tools of an agent with `deps` need what that returns, so
    TOOLS has to offer them.
    """
    free = (tool for agent in conf.AGENTS.values() if not (agent.deps or agent.agent) for tool in agent.tools)
    return tuple(dict.fromkeys([*conf.TOOLS, *free]))


def load_tool(path: str) -> engine.Tool[..., Any]:
    """The tool with this dotted path. Raises engine.ConfigurationError."""
    found = _load(path)
    try:
        return found if isinstance(found, engine.Tool) else engine.Tool(found)
    except Exception as error:  # no function, or one without types
        raise engine.ConfigurationError(f"{path} is no tool. {type(error).__name__}: {error}") from error


def _load(path: str) -> Any:
    try:
        return import_string(path)
    except Exception as error:  # the module can raise anything
        text = f"{path} cannot be imported. {type(error).__name__}: {error}"
        raise engine.ConfigurationError(text) from error


def deps(agent: AgentConf, user: Any, conversation: Any) -> Any:
    """Call the `deps` function of an agent that has one, for its tools' `context.deps`. Synchronous: it may query."""
    return import_string(agent.deps)(user, conversation)
