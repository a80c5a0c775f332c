"""Content-Security-Policy: scripts and styles from this site only, images also from `IMAGE_HOSTS`, nothing inline."""

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from chat.conf import conf

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
)


class ContentSecurityPolicy:
    """Middleware that adds the header, unless the view has set its own. Django 6 has a built-in one (`SECURE_CSP`).

    Both synchronous and asynchronous: otherwise Django would switch to a thread for each request.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        response = self.get_response(request)
        return _add(response) if isinstance(response, HttpResponseBase) else _add_later(response)


def _add(response: HttpResponseBase) -> HttpResponseBase:
    images = " ".join(["'self'", "data:", *conf.IMAGE_HOSTS])
    response.headers.setdefault("Content-Security-Policy", POLICY.format(images=images))
    return response


async def _add_later(response: Awaitable[HttpResponseBase]) -> HttpResponseBase:
    return _add(await response)
