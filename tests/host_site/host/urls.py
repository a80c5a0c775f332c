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


@login_required
def page(request: HttpRequest, pk: str) -> HttpResponse:
    return render(request, "page.html", {"conversation": get_object_or_404(Conversation, pk=pk)})


urlpatterns = [
    path("talk/", include("nous_chat.urls")),
    path("chat/", include("chat.urls")),
    path("enter/", LoginView.as_view(template_name="enter.html", next_page="/talk/")),
    path("pages/<uuid:pk>/", page),
    path("admin/", admin.site.urls),
]
