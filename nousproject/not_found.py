"""The page for wrong links: 404.html with DEBUG on, too, where Django would show its own technical page."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.urls import resolve
from django.utils.deprecation import MiddlewareMixin
from django.views import defaults


class PageNotFound(MiddlewareMixin):
    """For views that raise Http404. It has only this hook, so it costs other requests nothing."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return defaults.page_not_found(request, exception) if isinstance(exception, Http404) else None


def page_not_found(request: HttpRequest, path: str) -> HttpResponse:
    """The view of every path that has no other; the last in the URLconf.

    With it, each path is valid, so `APPEND_SLASH` of Django's middleware does nothing any more, and is done here.
    """
    if not path.endswith("/") and resolve(f"{request.path_info}/").func is not page_not_found:
        return HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
    raise Http404
