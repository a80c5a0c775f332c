"""The page of the sandboxed frame that shows HTML documents."""

from urllib.parse import urljoin

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe


@require_safe
@xframe_options_sameorigin
def preview(request: HttpRequest) -> HttpResponse:
    """A frame that holds another one with the document, which inherits this policy: no origin of its own, no network.
    Whether scripts run there is up to the inner frame's sandbox (static/nous_chat/documents/preview-frame.js).
    """
    scripts = urljoin(request.build_absolute_uri(), static("nous_chat/"))
    response = render(request, "nous_chat/preview.html")
    response.headers["Content-Security-Policy"] = (
        f"sandbox allow-scripts; default-src 'none'; script-src {scripts} 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:; "
        "form-action 'none'; base-uri 'none'; frame-src 'none'; frame-ancestors 'self'"
    )
    response.headers["X-DNS-Prefetch-Control"] = "off"
    return response
