"""Streaming AI chat for Django sites: people and agents in one conversation, live.

    consumers/  api/  views/     edges: authenticate, parse, respond
        actions/                 what a user does, once for all edges
            node/                this server process: start, heartbeat, peers, shutdown
                runs/            the answers being made in this process
                    realtime/    who hears what: groups, presence, inboxes
                        store/   units of work on the rows
                            protocol/  models/  engine/

Imports run down this list only. docs/architecture.md describes the layers.

The wheel installs this folder as `nous_chat`, because many sites have an app of their own called `chat`. So imports
within the package are relative, and nothing in it names it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .site import (
        Refused,
        Rejected,
        aask,
        aconversation_for,
        adocument_for,
        arecheck,
        asay,
        ask,
        conversation_for,
        document_for,
        recheck,
        say,
    )

__all__ = [
    "Refused",
    "Rejected",
    "aask",
    "aconversation_for",
    "adocument_for",
    "arecheck",
    "asay",
    "ask",
    "conversation_for",
    "document_for",
    "recheck",
    "say",
]


def __getattr__(name: str) -> Any:
    """What the site's code can do (`site`). Loaded when it is first used, because models need the app registry."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".site", __name__), name)
