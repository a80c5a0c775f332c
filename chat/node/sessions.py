"""Whose session a request carries, read before Django has seen the request."""

from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.http import parse_cookie

from .. import store


def read_cookie(scope: dict[str, Any]) -> str:
    """The session's cookie; "" if there is none. It proves nothing: anybody can send any."""
    header = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    return parse_cookie(header.decode("latin-1")).get(settings.SESSION_COOKIE_NAME, "")


def find_user(cookie: str) -> Any:
    """The primary key of the user in this session, None if nobody is signed in. The view authenticates the user.

    Not by Django's `get_user`, which can replace a session: then its cookie would be worth nothing to the view.
    """
    found = store.session_store()(cookie).get(SESSION_KEY) if cookie else None
    return None if found is None else get_user_model()._meta.pk.to_python(found)
