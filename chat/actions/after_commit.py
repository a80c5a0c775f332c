"""Publish from synchronous code, once the rows it changed are committed."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec

from asgiref.sync import async_to_sync
from django.db import transaction

P = ParamSpec("P")


def after_commit(publish: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run `publish(*args, **kwargs)` after the commit; at once if no transaction is open.

    A site may wrap each request in a transaction (ATOMIC_REQUESTS). Readers who hear of a change before its commit
    would still read the old rows.
    """
    transaction.on_commit(partial(async_to_sync(publish), *args, **kwargs))
