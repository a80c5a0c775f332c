"""Django's admin: conversations, messages, runs, and spending. Mostly read-only, because `store` writes the rows."""

from . import conversations, runs  # noqa: F401  importing them registers the admins
