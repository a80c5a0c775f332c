"""Who opens a socket or a stream: the user of its bearer token, else the user or the guest of the session whose key its
browser sent as a cookie.

Not channels' own middleware. It would read the rows of each socket by themselves, and keep copies of its scope.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from msgspec import Struct

from .. import store
from ..models import Guest
from ..node import bearer, sessions
from ..store import executor


class Identity(Struct, frozen=True):
    """The row of a user, and how they were authenticated: by a session, by a token, or by middleware of the site."""

    user: Any
    session: str | None = None
    """The session's key."""
    scopes: Collection[str] = store.SCOPES
    authenticate: Callable[[], object] | None = None
    """Checks the token again. Synchronous. Raises Refused(UNAUTHORIZED)."""


async def identify(scope: dict[str, Any]) -> Identity | None:
    """Who opens it; None if nobody is signed in. Raises Refused(UNAUTHORIZED) if there is a token that is not valid.

    Middleware of the site can give `scope["user"]` and `scope["session"]`, as channels' own does.
    """
    token = bearer.read_bearer(scope.get("headers", ()))
    if token is not None:
        authenticate = partial(bearer.authenticate, token, bearer.request_of(scope))
        found = await executor.run_request(authenticate)
        return Identity(found.user, scopes=found.scopes, authenticate=authenticate)
    user, session = await _find_user(scope)
    return None if user is None else Identity(user, session)


async def _find_user(scope: dict[str, Any]) -> tuple[Any, str | None]:
    """The row of the user, None if nobody is signed in; and the key of the session, None if there is none."""
    if (user := scope.get("user")) is not None:
        session = scope.get("session")
        if not user.is_authenticated:
            user = None if session is None else await executor.run_request(_find_guest, session)
        return user, getattr(session, "session_key", None)
    key = store.session_store()(sessions.read_cookie(scope)).session_key  # None if it cannot be one
    if key is None or "\0" in key:  # which PostgreSQL refuses, for all sessions that are read together
        return None, None
    if store.sessions_are_rows():
        return await executor.run_together(store.find_users, key), key
    # A cache is read for one key at a time, and may not answer: nobody else waits for it here.
    (user,) = await executor.run_request(store.find_users, [key])
    return user, key


def _find_guest(session: Any) -> Any:
    return store.find_guest(session.get(Guest.SESSION_KEY))
