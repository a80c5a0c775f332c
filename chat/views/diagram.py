"""The sandboxed frame in which diagrams are drawn."""

from urllib.parse import urljoin

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.views.decorators.clickjacking import xframe_options_sameorigin


@xframe_options_sameorigin
def diagram(request: HttpRequest) -> HttpResponse:
    """The frame in which Mermaid runs (static/nous_chat/markdown/diagram.js): without an origin, without a network."""
    scripts = urljoin(request.build_absolute_uri(), static("nous_chat/"))
    response = render(request, "nous_chat/diagram.html")
    response.headers["Content-Security-Policy"] = (
        f"sandbox allow-scripts; default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "frame-ancestors 'self'"
    )
    return response
