"""Finds agents by slug. An agent of the settings hides one of the same slug in the database."""

from msgspec import Struct

from .. import metrics
from ..conf import AgentConf, conf
from . import database
from .factory import model_of


class Resolved(Struct, frozen=True):
    """An agent, and which version of it this is. None for agents of the settings, which have no versions."""

    settings: AgentConf
    version: int | None = None


def default_slug() -> str:
    """The agent of new conversations: the first in the settings."""
    return next(iter(conf.AGENTS))


def all_agents() -> dict[str, AgentConf]:
    """All agents that can answer: first those of the settings, then those of the database, by name."""
    stored = sorted(database.current().values(), key=lambda agent: (agent.settings.name, agent.slug))
    return conf.AGENTS | {agent.slug: agent.settings for agent in stored if agent.slug not in conf.AGENTS}


def find(slug: str) -> AgentConf:
    """The agent with this slug; the default agent if it was removed or turned off, so that old conversations stay
    usable.
    """
    return resolve(slug).settings


def resolve(slug: str, version: int | None = None) -> Resolved:
    """The same, with its version. `version` asks for one in particular, which a run has begun with: that needs a query
    if there is a newer one. If it was deleted, this is the agent as it is now.
    """
    if slug in conf.AGENTS:
        return Resolved(conf.AGENTS[slug])
    stored = database.current().get(slug)
    if version is not None and (stored is None or stored.version != version):
        stored = database.find_version(slug, version) or stored
    return Resolved(conf.AGENTS[default_slug()]) if stored is None else Resolved(stored.settings, stored.version)


def labels(slug: str, model: str = "") -> tuple[str, str]:
    """The labels `model` and `agent` of the metrics of a run. Their values are bounded: what no agent of the site names
    is `metrics.OTHER`. Without a model, because the run has not begun, it is the agent's.
    """
    model, known = model or model_of(find(slug)), all_agents()
    is_known = any(model == model_of(agent) for agent in known.values())
    return model if is_known else metrics.OTHER, slug if slug in known else metrics.OTHER
