"""Who opens a socket: the user of the session whose key its browser sent as a cookie.

Not channels' own middleware. It would read the rows of each socket by themselves, and keep copies of its scope.
"""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.http import parse_cookie

from .. import store
from ..store import executor


async def find_user(scope: dict[str, Any]) -> tuple[Any, str | None]:
    """The row of the user, None if nobody is signed in; and the key of the session. A middleware of the site can give
    the user as `scope["user"]`; then there is no session.
    """
    if (user := scope.get("user")) is not None:
        return user if user.is_authenticated else None, None
    key = store.session_store()(_read_cookie(scope["headers"])).session_key  # None if it cannot be one
    if key is None:
        return None, None
    return await executor.run_together(store.find_users, key), key


def _read_cookie(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"cookie":
            return parse_cookie(value.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
    return None
