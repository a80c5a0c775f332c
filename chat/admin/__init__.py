"""Django's admin: conversations, messages, documents, runs, spending, API tokens. Mostly read-only: `store` writes the
rows.
"""

from . import conversations, documents, runs, tokens  # noqa: F401  importing them registers the admins
from .rooms import RoomInline

__all__ = ["RoomInline"]
