"""The site's agents: from a slug in the settings to what the engine runs. Called by `store`, `objects` and `runs`."""

from typing import Any

from django.utils.module_loading import import_string

from . import engine
from .conf import AgentConf, conf


def default_slug() -> str:
    """The agent that a new conversation gets: the first of the settings."""
    return next(iter(conf.AGENTS))


def find(slug: str) -> AgentConf:
    """The agent of that slug; the default one if the site no longer has it, so that old conversations stay usable."""
    return conf.AGENTS.get(slug) or conf.AGENTS[default_slug()]


def model_of(agent: AgentConf) -> str:
    """What a page shows as the model."""
    return agent.agent or agent.model or conf.MODEL


def build(agent: AgentConf) -> engine.Agent | engine.OwnAgent:
    """What the engine runs. Cheap: it opens nothing. Raises engine.ConfigurationError."""
    try:
        if agent.agent:
            own: engine.Agent | engine.OwnAgent = import_string(agent.agent)
            return own
        tools = tuple(import_string(path) for path in agent.tools)
    except ImportError as error:
        raise engine.ConfigurationError(f"The settings name something that is not there: {error}.") from error
    return engine.Agent(
        model_of(agent),
        name=agent.name,
        instructions=agent.instructions,
        fallback=agent.fallback,
        tools=tools,
        limits=engine.Limits(
            connect=conf.CONNECT_TIMEOUT,
            first_token=conf.FIRST_TOKEN_TIMEOUT,
            idle=conf.IDLE_TIMEOUT,
            total=conf.TOTAL_TIMEOUT,
        ),
    )


def deps(agent: AgentConf, user: Any, conversation: Any) -> Any:
    """What the tools of an agent that names `deps` find as `context.deps`. Synchronous: it may query."""
    return import_string(agent.deps)(user, conversation)
