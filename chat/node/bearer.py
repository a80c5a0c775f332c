"""Bearer tokens: whose token a request, a stream, or a socket carries (`Authorization: Bearer TOKEN`).

Cookies of such a request are ignored. Tokens of the chat are rows (`store/tokens.py`); the setting AUTHENTICATE adds
tokens of the site's own.
"""

from collections.abc import Iterable
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from .. import store
from ..conf import conf
from ..logs import TOKEN_PREFIX
from ..protocol.errors import ErrorCode, Refused
from ..store import Bearer


def read_bearer(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The token in the headers of an ASGI scope; None if there is none. It proves nothing: anybody can send any."""
    return parse_bearer(next((value.decode("latin-1") for name, value in headers if name == b"authorization"), ""))


def parse_bearer(authorization: str) -> str | None:
    """The token in the value of an Authorization header; None if that is empty or of another scheme."""
    scheme, __, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def authenticate(token: str, request: HttpRequest) -> Bearer:
    """Whom the token stands for. Raises Refused(UNAUTHORIZED)."""
    if token.startswith(TOKEN_PREFIX):
        return store.use_token(token)
    user = import_string(conf.AUTHENTICATE)(request) if conf.AUTHENTICATE else None
    if user is None or not user.is_active:
        raise Refused(ErrorCode.UNAUTHORIZED, _("This token is not valid."))
    return Bearer(user)


def check_scope(found: Bearer, scope: str) -> None:
    """Raises Refused(FORBIDDEN) if the token lacks a scope."""
    if scope not in found.scopes:
        raise missing_scope(scope)


def missing_scope(scope: str) -> Refused:
    return Refused(ErrorCode.FORBIDDEN, _('This token lacks the scope "%(scope)s".') % {"scope": scope})


def challenge(has_token: bool) -> str:
    """The WWW-Authenticate header of a refusal (RFC 6750, 3)."""
    return 'Bearer error="invalid_token"' if has_token else "Bearer"


def request_of(scope: dict[str, Any]) -> HttpRequest:
    """What can be known of a request before Django sees it, also of a socket's: headers, path, and address. It has no
    query string, which need not be valid.
    """
    scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
    known = {name: scope[name] for name in ("headers", "path", "root_path", "server", "client") if name in scope}
    return ASGIRequest({"method": "GET", "path": "/", "scheme": scheme} | known, BytesIO())
