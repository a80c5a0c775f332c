"""Addresses of the chat's pages and sockets as browsers see them, under a path prefix if the site has one.

The prefix is FORCE_SCRIPT_NAME, else what the server calls `root_path`. Django knows the latter during a request only,
but most of what the chat sends to browsers is made outside of requests.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import NoReverseMatch, get_script_prefix, reverse, set_script_prefix

from .conf import conf

_root_path = ""
"""Of this process's server, which has one for all requests."""


def note_root_path(scope: dict[str, Any]) -> None:
    """Remember the prefix under which the server serves this site."""
    global _root_path
    _root_path = scope.get("root_path") or ""


def page(name: str, *args: object) -> str:
    """The path of one of the chat's URLs."""
    return page_of("nous_chat", name, *args)


def page_of(namespace: str, name: str, *args: object) -> str:
    """The path of a URL of an app. Raises NoReverseMatch."""
    if get_script_prefix() == "/" and (prefix := script_name()):
        set_script_prefix(f"{prefix}/")  # in this context only
    return reverse(f"{namespace}:{name}", args=args)


def admin_page(name: str) -> str:
    """The path of a page of conversations in Django's admin, with `*` for the id. "" if the site has no admin, or one
    without the chat.
    """
    nowhere = UUID(int=0)
    try:
        return page_of("admin", f"nous_chat_conversation_{name}", nowhere).replace(str(nowhere), "*")
    except NoReverseMatch:
        return ""


def sockets() -> str:
    """The path under which browsers find the sockets."""
    return f"{script_name()}{conf.WEBSOCKET_URL}"


def below_prefix(path: str) -> str:
    """A request's path without the prefix. A proxy may have removed it already."""
    return path.removeprefix(script_name())


def script_name() -> str:
    """The prefix, without a slash at its end; "" if there is none."""
    return (settings.FORCE_SCRIPT_NAME or _root_path).rstrip("/")
