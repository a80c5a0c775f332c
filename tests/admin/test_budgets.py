"""Budgets in the admin: who sets them, next to those of the settings, and what is used so far."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import FieldError
from django.test import Client

from chat.admin import budgets
from chat.models import Budget, Conversation, Spending
from chat.store import budgets as store_budgets
from chat.store import stored_budgets
from chat.times import today

from .test_prices import allow

PAGE = "/admin/nous_chat/budget/"
NEW = {"scope": "person", "period": "month", "tokens": "1000", "cost": "", "group": "", "conversation": ""}


def test_budgets_are_seen_with_one_permission_and_set_with_another(people: Any) -> None:
    new = NEW | {"user": people["eve"].pk}
    assert allow(people["eve"], "view_price").get(PAGE).status_code == 403
    seeing = allow(people["ada"], "view_budget")
    assert seeing.get(PAGE).status_code == 200
    assert seeing.post(f"{PAGE}add/", new).status_code == 403
    managing = allow(people["bob"], "manage_budgets")
    assert managing.post(f"{PAGE}add/", new).status_code == 302
    row = Budget.objects.get()
    assert (row.user, row.tokens) == (people["eve"], 1000)
    url = f"{PAGE}{row.pk}/change/"
    assert seeing.get(url).status_code == 200
    assert seeing.post(url, new | {"tokens": "1"}).status_code == 403
    assert managing.post(url, new | {"tokens": "2000"}).status_code == 302
    assert managing.post(f"{PAGE}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Budget.objects.exists()


def test_the_list_says_what_is_used_with_few_statements(
    admin_client: Client, people: Any, room: Conversation, settings: Any, django_assert_max_num_queries: Any
) -> None:
    settings.NOUS_CHAT = {"BUDGETS": [{"per": "site", "cost": 4}, {"per": "user", "tokens": 7}]}
    team = Group.objects.create(name="Team")
    people["ada"].groups.add(team)
    Spending.objects.create(day=today(), user=people["ada"], conversation=room, tokens=500, cost=Decimal(3))
    Spending.objects.create(day=today(), user=people["bob"], conversation=room, tokens=100, cost=Decimal(2))
    Budget.objects.create(scope="person", user=people["ada"], tokens=2000)
    Budget.objects.create(scope="group", group=team, cost=6)
    Budget.objects.create(scope="one_conversation", conversation=room, tokens=800)
    for _ in range(20):
        Budget.objects.create(scope="user", tokens=1)
    with django_assert_max_num_queries(12):
        page = admin_client.get(PAGE).content.decode()
    for text in ("5.00 USD (125%)", "500 tokens (25%)", "3.00 USD (50%)", "600 tokens (75%)", "Team", "7 tokens"):
        assert text in page, text


def test_nobody_learns_the_title_of_a_conversation_from_its_budget(people: Any, room: Conversation) -> None:
    Conversation.objects.update(title="Secret plans")
    row = Budget.objects.create(scope="one_conversation", conversation=room, tokens=800)
    for permission in ("view_budget", "manage_budgets"):
        client = allow(people["ada"], permission)
        for page in ("", f"{row.pk}/change/", f"{row.pk}/history/"):
            answer = client.get(PAGE + page)
            assert answer.status_code == 200
            assert "Secret" not in answer.content.decode(), page
    url = f"{PAGE}{row.pk}/change/"
    sent = NEW | {"scope": "one_conversation", "user": ""}
    unknown = client.post(url, sent | {"conversation": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"})
    assert "No conversation has this ID" in unknown.content.decode()
    assert client.post(url, sent | {"conversation": "Secret plans"}).status_code == 200
    assert client.post(url, sent | {"conversation": str(room.pk)}).status_code == 302


def test_a_wrong_budget_says_what_is_wrong(admin_client: Client, people: Any) -> None:
    page = admin_client.post(f"{PAGE}add/", NEW | {"tokens": ""}).content.decode()
    assert "Set a number of tokens, a cost, or both." in page
    assert "only then" in page


def test_budgets_of_groups_are_left_alone_if_the_user_model_has_none(
    admin_client: Client, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set before the site changed its user model, or imported."""
    team = Group.objects.create(name="Team")
    people["ada"].groups.add(team)
    rows = [Budget.objects.create(scope=scope, group=team, tokens=1) for scope in ("group", "member")]

    def fail(group: int) -> None:
        raise FieldError("Cannot resolve keyword 'groups' into field.")

    for module in (stored_budgets, budgets):
        monkeypatch.setattr(module, "has_groups", lambda: False)
    for module in (stored_budgets, store_budgets):
        monkeypatch.setattr(module, "members", fail)
    stored_budgets.groups_by_user.forget()
    for page in ("", "add/", *(f"{row.pk}/change/" for row in rows)):
        assert admin_client.get(PAGE + page).status_code == 200, page
    assert "Choose this" not in admin_client.get(f"{PAGE}add/").content.decode()
    assert store_budgets.read_remaining(people["ada"], room) == []
    answer = admin_client.post(f"{PAGE}add/", NEW | {"scope": "group", "group": team.pk, "user": ""})
    assert "is not one of the available choices" in answer.content.decode()
