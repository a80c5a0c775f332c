"""Circuit breakers that staff open and close, on the dashboard and in the admin: one action, noted once."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from chat import agents
from chat.models import Breaker

MODEL = "openai:gpt-4o"

Way = Callable[[Client, str, str], int]


def on_dashboard(client: Client, model: str, setting: str) -> int:
    return client.post(reverse("nous_chat:dashboard-breaker"), {"model": model, "setting": setting}).status_code


def in_admin(client: Client, model: str, setting: str) -> int:
    row = Breaker.objects.filter(model=model).first()
    name = "admin:nous_chat_breaker_change" if row else "admin:nous_chat_breaker_add"
    address = reverse(name, args=[row.pk] if row else [])
    return client.post(address, {"model": model, "setting": setting}).status_code


@pytest.fixture
def staff(client: Client, django_user_model: Any) -> Callable[..., Any]:
    """Signs in a user of the staff with these permissions."""

    def make(*permissions: str) -> Any:
        user, _ = django_user_model.objects.get_or_create(username="eve", defaults={"is_staff": True})
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return user

    return make


def settings_of_this_process() -> dict[str, str]:
    return dict(agents.breakers().settings)


@pytest.mark.django_db
@pytest.mark.parametrize(("way", "status"), [(on_dashboard, 204), (in_admin, 302)])
def test_staff_opens_and_closes_a_breaker_and_that_is_noted_once(
    client: Client, staff: Any, way: Way, status: int
) -> None:
    eve = staff("view_dashboard", "manage_breakers")
    for setting, kept in (("open", {MODEL: "open"}), ("closed", {MODEL: "closed"}), ("automatic", {})):
        assert way(client, MODEL, setting) == status
        assert settings_of_this_process() == kept, "this process follows at once"
    assert list(Breaker.objects.values_list("model", "setting")) == [(MODEL, "automatic")]
    noted = LogEntry.objects.order_by("pk").values_list("user", "object_id", "object_repr", "change_message")
    row = str(Breaker.objects.get().pk)
    assert list(noted) == [
        (eve.pk, row, MODEL, "Opened the circuit breaker."),
        (eve.pk, row, MODEL, "Closed the circuit breaker."),
        (eve.pk, row, MODEL, "Left the circuit breaker to each process."),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("way", [on_dashboard, in_admin])
@pytest.mark.parametrize(
    "permissions", [(), ("view_dashboard", "stop_run", "view_breaker"), ("view_dashboard", "view_transcript")]
)
def test_without_the_permission_it_is_refused_and_logged(
    client: Client, staff: Any, caplog: pytest.LogCaptureFixture, way: Way, permissions: tuple[str, ...]
) -> None:
    staff(*permissions)
    with caplog.at_level(logging.WARNING, "django.request"):
        assert way(client, MODEL, "open") == 403
    assert "Forbidden" in caplog.text
    assert not Breaker.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.django_db
def test_the_permission_alone_does_not_open_the_dashboard(client: Client, staff: Any) -> None:
    staff("manage_breakers")
    assert on_dashboard(client, MODEL, "open") == 403


@pytest.mark.django_db
@pytest.mark.parametrize(("way", "status"), [(on_dashboard, 400), (in_admin, 200)])
@pytest.mark.parametrize(
    ("model", "setting"), [("gpt-4o", "open"), (":", "open"), ("", "open"), (f"a:{'b' * 200}", "open"), (MODEL, "ajar")]
)
def test_what_is_no_model_or_no_setting_is_refused(
    client: Client, staff: Any, way: Way, status: int, model: str, setting: str
) -> None:
    staff("view_dashboard", "manage_breakers")
    assert way(client, model, setting) == status
    assert not Breaker.objects.exists()


@pytest.mark.django_db
def test_another_site_cannot_set_it(staff: Any) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(staff("view_dashboard", "manage_breakers"))
    assert on_dashboard(careful, MODEL, "open") == 403
