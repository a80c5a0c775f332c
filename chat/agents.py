"""The site's agents: from a slug in the settings to the agent that the engine runs."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.module_loading import import_string

from . import engine
from .conf import AgentConf, conf


def default_slug() -> str:
    """The agent of new conversations: the first in the settings."""
    return next(iter(conf.AGENTS))


def find(slug: str) -> AgentConf:
    """The agent with this slug; the default agent if the site removed it, so that old conversations stay usable."""
    return conf.AGENTS.get(slug) or conf.AGENTS[default_slug()]


def model_of(agent: AgentConf) -> str:
    """The model's name, as the page shows it; for a custom agent its dotted path."""
    return agent.agent or agent.model or conf.MODEL


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
    tools = tuple(_load(tool) if isinstance(tool, str) else tool for tool in (*agent.tools, *more_tools))
    if not tools and model_of(agent) in ("demo", "demo:tour"):
        tools = engine.DEMO_TOOLS
    return engine.Agent(
        model_of(agent),
        name=agent.name,
        instructions="\n\n".join(filter(None, [agent.instructions, instructions])),
        fallback=agent.fallback,
        settings=agent.settings,
        tools=tools,
        environ=environ(),
        limits=engine.Limits(
            connect=conf.CONNECT_TIMEOUT,
            first_token=conf.FIRST_TOKEN_TIMEOUT,
            idle=conf.IDLE_TIMEOUT,
            total=conf.TOTAL_TIMEOUT,
        ),
    )


def _load(path: str) -> Any:
    try:
        return import_string(path)
    except Exception as error:  # the module can raise anything
        text = f"{path} cannot be imported. {type(error).__name__}: {error}"
        raise engine.ConfigurationError(text) from error


def deps(agent: AgentConf, user: Any, conversation: Any) -> Any:
    """Call the `deps` function of an agent that has one, for its tools' `context.deps`. Synchronous: it may query."""
    return import_string(agent.deps)(user, conversation)
