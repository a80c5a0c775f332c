from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from chat.models import Topic


def topics(request: HttpRequest) -> HttpResponse:
    return render(request, "chat/topics.html", {"topics": Topic.objects.all()})
