"""Middleware with a content security policy that allows scripts by nonce only, as django-csp makes it."""

import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def nonces(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe(16)
        request.csp_nonce = nonce  # type: ignore[attr-defined]
        response = get_response(request)
        others = "default-src 'none'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
        response.headers.setdefault("Content-Security-Policy", f"{others}; script-src 'nonce-{nonce}'")
        return response

    return middleware
