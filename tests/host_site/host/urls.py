"""The host site's URLs: the installed chat under /talk/, the site's own app `chat` under /chat/, and a page with one
conversation on it.
"""

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import include, path
from nous_chat.models import Conversation
from shop.models import Order


@login_required
def page(request: HttpRequest, pk: str) -> HttpResponse:
    return render(request, "page.html", {"conversation": get_object_or_404(Conversation, pk=pk)})


@login_required
def order(request: HttpRequest, number: str) -> HttpResponse:
    """The page of an order, with its room."""
    return strict(render(request, "order.html", {"order": get_object_or_404(Order, pk=number)}))


@login_required
def catalogue(request: HttpRequest, number: str) -> HttpResponse:
    """A page with a button that opens the room of an order."""
    return strict(render(request, "catalogue.html", {"order": get_object_or_404(Order, pk=number)}))


def strict(response: HttpResponse) -> HttpResponse:
    """With the policy that docs/embedding.md promises to be enough."""
    response["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data:"
    return response


urlpatterns = [
    path("talk/", include("nous_chat.urls")),
    path("chat/", include("chat.urls")),
    path("enter/", LoginView.as_view(template_name="enter.html", next_page="/talk/")),
    path("pages/<uuid:pk>/", page),
    path("orders/<str:number>/", order, name="order"),
    path("catalogue/<str:number>/", catalogue),
    path("admin/", admin.site.urls),
]
