"""The inline that shows the room of an object on the admin page of the site's own model."""

from types import ModuleType
from typing import Any, ClassVar

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import path, reverse
from django.utils import timezone

from chat import store
from chat.admin import RoomInline, register
from chat.models import Conversation
from nousproject.urls import urlpatterns

shop = admin.AdminSite(name="shop")
register(shop)


@admin.register(Group, site=shop)
class TeamAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    inlines: ClassVar = [RoomInline]


@pytest.fixture(autouse=True)
def shop_urls(settings: Any) -> None:
    urls: Any = ModuleType("shop_urls")
    urls.urlpatterns = [path("shop/", shop.urls), *urlpatterns]
    settings.ROOT_URLCONF = urls


def test_it_links_to_the_transcript_for_those_who_may_read_it(people: Any) -> None:
    team = Group.objects.create(name="Team")
    room = store.create_conversation(people["ada"], "Plans").id
    kind = ContentType.objects.get_for_model(Group)
    Conversation.objects.update(content_type=kind, object_id=str(team.pk))
    warden, client = people["bob"], Client()
    type(warden).objects.filter(pk=warden.pk).update(is_staff=True)
    warden.user_permissions.set(Permission.objects.filter(codename__in=("view_group", "view_conversation")))
    client.force_login(warden)
    page = f"/shop/auth/group/{team.pk}/change/"
    transcript = f"/shop/nous_chat/conversation/{room}/transcript/"
    shown = client.get(page).content.decode()
    assert reverse("nous_chat:conversation", args=[room]) in shown
    assert "/transcript/" not in shown
    warden.user_permissions.add(Permission.objects.get(codename="view_transcript"))
    assert f'href="{transcript}"' in client.get(page).content.decode()
    Conversation.objects.update(deleted_at=timezone.now())
    assert str(room) not in client.get(page).content.decode()
