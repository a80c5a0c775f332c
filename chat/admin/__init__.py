"""The conversations in Django's admin. Rows are read here, not written: `store` is their only writer."""

from . import conversations, runs  # noqa: F401  they register themselves
