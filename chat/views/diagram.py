"""The page of the sandboxed frame that draws diagrams."""

from urllib.parse import urljoin

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe


@require_safe
@xframe_options_sameorigin
def diagram(request: HttpRequest) -> HttpResponse:
    """Mermaid runs in this frame, because its input is untrusted: the frame has no origin of its own and no network
    access (static/nous_chat/markdown/diagram.js).
    """
    scripts = urljoin(request.build_absolute_uri(), static("nous_chat/"))
    response = render(request, "nous_chat/diagram.html")
    response.headers["Content-Security-Policy"] = (
        f"sandbox allow-scripts; default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "frame-ancestors 'self'"
    )
    return response
