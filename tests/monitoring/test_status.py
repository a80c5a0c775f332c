"""The state of the system: what is broken is named, and nothing secret is."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import checks
from django.core.files.storage import InMemoryStorage
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.urls import reverse

from chat import __version__
from chat.monitoring import status
from chat.monitoring.status import read_status


@pytest.fixture
def found(db: None) -> Any:
    return read_status(__version__)


def test_it_names_versions_and_disk(found: Any) -> None:
    assert found.versions["nous-chat"] == __version__
    assert {"Django", "channels", "msgspec", "Python"} <= found.versions.keys()
    assert found.database.startswith(connection.display_name)
    assert found.database_seconds > 0
    assert found.storage_seconds is not None
    assert 0 < found.disk_free < found.disk_total
    assert found.migrations == []


def test_it_names_migrations_that_are_not_applied(db: None) -> None:
    ((app, newest),) = MigrationLoader(connection).graph.leaf_nodes("nous_chat")
    MigrationRecorder(connection).record_unapplied(app, newest)
    assert read_status("1").migrations == [f"{app}.{newest}"]


def test_a_storage_that_fails_is_no_error(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(InMemoryStorage):
        def exists(self, name: str) -> bool:
            raise ConnectionError("away")

    monkeypatch.setattr(status, "attachment_storage", Broken)
    found = read_status("1")
    assert (found.storage, found.storage_seconds, found.disk_free) == ("Broken", None, None)


def test_it_says_what_the_checks_say_without_secrets_and_without_what_is_silenced(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [
        checks.Warning("A hint holds password=hunter2hunter2", id="x.W1"),
        checks.Warning("Silent", id="x.W2"),
        checks.Error("Broken", hint="Repair it.", id="x.E3"),
    ]
    monkeypatch.setattr(checks, "run_checks", lambda **options: said)
    settings.SILENCED_SYSTEM_CHECKS = ["x.W2"]
    found = read_status("1").checks
    assert [(each.id, each.hint) for each in found] == [("x.E3", "Repair it."), ("x.W1", "")]
    assert "hunter2" not in found[1].message


def test_staff_with_the_permission_get_it(client: Client, django_user_model: Any) -> None:
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    url = reverse("nous_chat:dashboard-status")
    assert client.get(url).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_dashboard"))
    answer = client.get(url)
    assert answer.status_code == 200
    assert json.loads(answer.content)["versions"]["nous-chat"] == __version__
    assert "no-store" in answer["Cache-Control"]
