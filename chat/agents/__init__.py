"""The site's agents, by slug: those of the settings, and those that staff have made in the admin.

registry    finds an agent
database    what this process knows of the agents in the database
factory     makes the agent that the engine runs
problems    what is wrong with the description of an agent
breakers    which models are not asked for a while
"""

from .breakers import breakers, refresh_breakers
from .database import refresh
from .factory import (
    build,
    deps,
    environ,
    load_tool,
    model_of,
    offered_tools,
    registered_tools,
    writes_documents,
)
from .problems import find_problems
from .registry import Resolved, all_agents, default_slug, find, labels, resolve

__all__ = [
    "Resolved",
    "all_agents",
    "breakers",
    "build",
    "default_slug",
    "deps",
    "environ",
    "find",
    "find_problems",
    "labels",
    "load_tool",
    "model_of",
    "offered_tools",
    "refresh",
    "refresh_breakers",
    "registered_tools",
    "resolve",
    "writes_documents",
]
