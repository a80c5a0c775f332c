"""Prices in the admin: what staff sees of them, who sets them, and the price on a run's page."""

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client

from chat.engine import Usage
from chat.models import Conversation, Price, Run

from ..support.store_helpers import begin, end

PAGE = "/admin/nous_chat/price/"
NEW = {"model": "custom:told", "valid_from": "2026-01-01", "input": "2.5", "output": "10", "cached": "", "_save": "1"}


def allow(user: Any, *names: str) -> Client:
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def test_the_list_says_which_price_counts_and_where_there_is_none(admin_client: Client, settings: Any) -> None:
    agents = {"a": {"model": "openai:gpt-4o", "fallback": ["custom:told"]}, "b": {"model": "custom:other"}}
    settings.NOUS_CHAT = {"AGENTS": agents, "PRICES": {"custom:other": {"input": 7, "output": 8}}}
    page = admin_client.get(PAGE).content.decode()
    assert "2.5 USD input, 10 USD output, 1.25 USD cached input (shipped table)" in page
    assert "7 USD input, 8 USD output (settings)" in page
    assert page.count("No price") == 1
    assert admin_client.post(f"{PAGE}add/", NEW).status_code == 302
    page = admin_client.get(PAGE).content.decode()
    assert "2.5 USD input, 10 USD output (admin, from Jan. 1, 2026)" in page
    assert "No price" not in page


def test_prices_are_seen_with_one_permission_and_set_with_another(people: Any) -> None:
    nobody, seeing, managing = allow(people["eve"]), allow(people["ada"], "view_price"), None
    assert nobody.get(PAGE).status_code == 403
    assert seeing.get(PAGE).status_code == 200
    assert seeing.post(f"{PAGE}add/", NEW).status_code == 403
    assert not Price.objects.exists()
    managing = allow(people["bob"], "manage_budgets")
    assert managing.get(PAGE).status_code == 200
    assert managing.post(f"{PAGE}add/", NEW).status_code == 302
    assert Price.objects.get().input == Decimal("2.5")


def test_two_prices_of_one_model_from_the_same_day_and_negative_ones_are_refused(admin_client: Client) -> None:
    Price.objects.create(model="custom:told", valid_from="2026-01-01", input=1, output=1)
    assert "already exists" in admin_client.post(f"{PAGE}add/", NEW).content.decode()
    answer = admin_client.post(f"{PAGE}add/", NEW | {"valid_from": "2026-01-02", "input": "-1"})
    assert "greater than or equal to 0" in answer.content.decode()
    assert Price.objects.count() == 1


def test_a_run_shows_the_price_that_counted(
    admin_client: Client, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"MODEL": "custom:told", "PRICES": {"custom:told": {"input": 2.5, "output": 10}}}
    end(begin(people["ada"], room), charged_usage=Usage(1000, 100))
    run = Run.objects.get()
    settings.NOUS_CHAT = {}
    url = f"/admin/nous_chat/run/{run.pk}/change/"
    assert "custom:told: 2.5 USD input, 10 USD output (settings)" in admin_client.get(url).content.decode()
    Run.objects.update(price="imported")
    assert "imported" in admin_client.get(url).content.decode()
