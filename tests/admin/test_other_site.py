"""The chat in an admin site other than the default one: every link stays in it."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import path

import chat
from chat import store
from chat.admin import register
from chat.conf import AgentConf
from chat.models import Breaker, Budget, Conversation, Price, StoredAgent
from nousproject.urls import urlpatterns

from ..support.store_helpers import begin, end

office = admin.AdminSite(name="office")
register(office)


@pytest.fixture
def office_urls(settings: Any) -> None:
    urls: Any = ModuleType("office_urls")
    urls.urlpatterns = [path("office/", office.urls), *urlpatterns]
    settings.ROOT_URLCONF = urls


def test_every_page_works_and_links_to_its_own_site(admin_client: Client, people: Any, office_urls: None) -> None:
    room = Conversation.objects.get(pk=store.create_conversation(people["ada"], "Plans").id)
    end(begin(people["ada"], room))
    run = room.runs.get()
    here = f"/office/nous_chat/conversation/{room.pk}"
    pages = ["/office/nous_chat/conversation/", "/office/nous_chat/run/", f"/office/nous_chat/run/{run.pk}/change/"]
    pages += [f"{here}/{name}/" for name in ("change", "transcript", "transcript/live", "export", "history")]
    price = Price.objects.create(model="a:b", valid_from="2026-01-01", input=1, output=2)
    pages += [f"/office/nous_chat/price/{name}" for name in ("", "add/", f"{price.pk}/change/")]
    breaker = Breaker.objects.create(model="a:b")
    pages += [f"/office/nous_chat/breaker/{name}" for name in ("", "add/", f"{breaker.pk}/change/")]
    budget = Budget.objects.create(scope="one_conversation", conversation=room, tokens=1)
    pages += [f"/office/nous_chat/budget/{name}" for name in ("", "add/", f"{budget.pk}/change/")]
    pages += [f"/office/nous_chat/spending/{name}" for name in ("", "rows/", "?by=model")]
    hold = store.place_hold(None, "Case", conversation=room.pk)
    receipt = store.begin_erasure(people["eve"])
    pages += [f"/office/nous_chat/hold/{name}" for name in ("", "add/", f"{hold}/change/", f"{hold}/release/")]
    pages += [f"/office/nous_chat/erasure/{name}" for name in ("", "add/", f"{receipt.pk}/change/")]
    pages += ["/office/nous_chat/pruning/"]
    store.create_agent(None, "clerk", AgentConf(name="Clerk"))
    clerk = f"/office/nous_chat/storedagent/{StoredAgent.objects.get().pk}"
    pages += ["/office/nous_chat/storedagent/", f"{clerk}/change/", f"{clerk}/versions/"]
    for page in pages:
        answer = admin_client.get(page)
        assert answer.status_code == 200, page
        assert not re.findall(r'(?:href|action|formaction|data-url)="/admin/nous_chat', answer.content.decode()), page


def test_what_staff_send_leads_back_to_its_own_site(admin_client: Client, people: Any, office_urls: None) -> None:
    placed = admin_client.post("/office/nous_chat/hold/add/", {"username": "ada", "reason": "Case"})
    assert placed.headers["Location"].startswith("/office/nous_chat/hold/")
    hold = placed.headers["Location"].removesuffix("change/")
    assert admin_client.post(f"{hold}release/", {"reason": "Over"}).headers["Location"] == f"{hold}change/"
    begun = admin_client.post("/office/nous_chat/erasure/add/", {"username": "eve", "confirmed": "yes"})
    receipt = begun.headers["Location"].removesuffix("change/")
    assert admin_client.post(f"{receipt}continue/").headers["Location"] == f"{receipt}change/"


def test_no_template_changes_the_admin_of_other_apps() -> None:
    """A template outside of `admin/nous_chat` would replace one of Django's for every app of the site."""
    folder = Path(chat.__path__[0]) / "templates" / "admin"
    assert {each.name for each in folder.iterdir()} == {"nous_chat"}
