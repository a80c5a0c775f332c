"""The site's agents: from a slug in the settings to an engine Agent. Called by `store`, `objects` and `runs`."""

from . import engine
from .conf import AgentConf, conf


def default_slug() -> str:
    """The agent that a new conversation gets: the first of the settings."""
    return next(iter(conf.AGENTS))


def find(slug: str) -> AgentConf:
    """The agent of that slug; the default one if the site no longer has it, so that old conversations stay usable."""
    return conf.AGENTS.get(slug) or conf.AGENTS[default_slug()]


def model_of(agent: AgentConf) -> str:
    return agent.model or conf.MODEL


def build(agent: AgentConf) -> engine.Agent:
    """The engine's Agent for a run. Cheap: it opens nothing."""
    return engine.Agent(
        model_of(agent),
        name=agent.name,
        instructions=agent.instructions,
        limits=engine.Limits(
            connect=conf.CONNECT_TIMEOUT,
            first_token=conf.FIRST_TOKEN_TIMEOUT,
            idle=conf.IDLE_TIMEOUT,
            total=conf.TOTAL_TIMEOUT,
        ),
    )
