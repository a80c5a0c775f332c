"""The database that has the chat's tables: the one that the site's routers (DATABASE_ROUTERS) name for writing them.

It is also the one that they are read from. A replica lags behind: from there, a user would miss what they have just
written, an answer would end with an old text, and somebody who was removed could still read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from .models import Conversation

_reads_primaries: ContextVar[bool] = ContextVar("reads_primaries", default=False)


def alias() -> str:
    return router.db_for_write(Conversation)


def connection() -> BaseDatabaseWrapper:
    """This thread's connection to it."""
    return connections[alias()]


def atomic() -> transaction.Atomic:
    """A transaction on it. Units of work have limits, too (`store/unit_of_work.py`)."""
    return transaction.atomic(using=alias())


@contextmanager
def primaries() -> Iterator[None]:
    """Read all models from the databases that they are written to, those of the site too: users, sessions, and what the
    rules of rooms read. A router that remembers which request has written something knows nothing of our threads.
    """
    token = _reads_primaries.set(True)
    try:
        yield
    finally:
        _reads_primaries.reset(token)


class _PrimaryRouter:
    """The first of the site's routers. It has no opinion on anything but reads."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        concrete: Any = model._meta.concrete_model  # a site may have a proxy of ours
        if _reads_primaries.get() or concrete._meta.app_label == Conversation._meta.app_label:
            return router.db_for_write(model, **hints)
        return None


def install_router() -> None:
    """Put our router in front of the site's."""
    router.routers.insert(0, _PrimaryRouter())
