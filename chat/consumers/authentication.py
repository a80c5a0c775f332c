"""Who opens a socket: the user of the session whose key its browser sent as a cookie.

Not channels' own middleware. It would read the rows of each socket by themselves, and keep copies of its scope.
"""

from typing import Any

from .. import store
from ..node import sessions
from ..store import executor


async def find_user(scope: dict[str, Any]) -> tuple[Any, str | None]:
    """The row of the user, None if nobody is signed in; and the key of the session, None if there is none. Middleware
    of the site can give them as `scope["user"]` and `scope["session"]`, as channels' own does.
    """
    if (user := scope.get("user")) is not None:
        return user if user.is_authenticated else None, getattr(scope.get("session"), "session_key", None)
    key = store.session_store()(sessions.read_cookie(scope)).session_key  # None if it cannot be one
    if key is None or "\0" in key:  # which PostgreSQL refuses, for all sessions that are read together
        return None, None
    if store.sessions_are_rows():
        return await executor.run_together(store.find_users, key), key
    # A cache is read for one key at a time, and may not answer: nobody else waits for it here.
    (user,) = await executor.run_request(store.find_users, [key])
    return user, key
