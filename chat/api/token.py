"""HTTP endpoint: a CSRF token for a page whose own one is too old."""

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token

from .endpoint import endpoint, json_response


@endpoint("GET")
async def token(request: HttpRequest) -> HttpResponse:
    """Signing in replaces the token, so a page in another tab has an invalid one. It also tells a page that the server
    is there although no WebSocket opens.
    """
    return json_response(200, {"csrf": get_token(request), "user": str(request.user.pk)})
