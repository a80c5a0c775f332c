"""Every address of the chat, with every method, as every kind of user: the table in tests/support/authorization.py."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from chat import urls

from ..support.authorization import (
    ADDRESSES,
    BODIES,
    KWARGS,
    METHODS,
    READERS,
    ROLES,
    SECRET,
    VARIANTS,
    World,
    build_world,
    digest,
    read_table,
    writes,
)
from ..support.store_helpers import read_body

TABLE = read_table(ADDRESSES)
NAMES = {str(pattern.name): pattern for pattern in urls.urlpatterns}


@pytest.fixture(autouse=True)
def unhurried(db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rate limit, files in a folder of the test, and one connection, also for asynchronous views."""
    settings.NOUS_CHAT = {"COMMAND_RATE": 10_000, "COMMAND_BURST": 10_000}
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)


def test_every_address_is_in_the_table() -> None:
    assert {name.partition(":")[0] for name, _ in TABLE} == set(NAMES)


@pytest.mark.parametrize("role", ROLES)
def test_everybody_gets_the_answers_of_the_table(role: str) -> None:
    world = build_world(role)
    client = Client(raise_request_exception=False)
    if role != "anonymous":
        client.force_login(world.users[role], backend="django.contrib.auth.backends.ModelBackend")
    before, wrong = digest(), []
    for row, method in sorted({(name, method) for name in NAMES for method in METHODS} | set(TABLE)):
        expected = TABLE[row, method][role] if (row, method) in TABLE else "405"
        with transaction.atomic():
            with writes() as written:
                answer = request(client, world, row, method, role)
            body = read_body(answer)
            changed = bool(written) and digest() != before
            transaction.set_rollback(True)
        status = "login" if answer.get("Location", "").startswith("/accounts/login/") else str(answer.status_code)
        found = status + "+" * changed
        if found != expected:
            wrong.append(f"{row} {method}: {found} instead of {expected}")
        if role not in READERS and row != "join" and "+" not in found and SECRET.encode() in body:
            wrong.append(f"{row} {method}: shows what only participants may read")
    assert not wrong, "\n".join(wrong)


def test_an_id_that_is_not_ones_own_looks_like_an_unknown_one() -> None:
    """The answers are the same to the letter, so nobody learns what exists."""
    world = build_world("stranger")
    client = Client()
    client.force_login(world.users["stranger"])
    for (row, method), cells in TABLE.items():
        if cells["stranger"] == "404" and row.startswith(("api-", "attachment")):
            kwargs = address(world, row, "stranger")
            unknown = {name: uuid.uuid4() if isinstance(value, uuid.UUID) else 10**9 for name, value in kwargs.items()}
            answers = [request(client, world, row, method, "stranger", given).content for given in (kwargs, unknown)]
            assert answers[0] == answers[1], (row, method)


def test_nothing_is_changed_without_a_csrf_token() -> None:
    world = build_world("owner")
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.users["owner"])
    before = digest()
    for row, method in TABLE:
        if method not in ("GET", "HEAD"):
            assert request(client, world, row, method, "owner").status_code == 403, (row, method)
    assert digest() == before


def test_a_middleware_that_asks_for_a_login_changes_no_endpoint(settings: Any) -> None:
    """A redirect to the sign-in page would tell a script nothing."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    world = build_world("anonymous")
    for (row, method), cells in TABLE.items():
        if cells["anonymous"] == "401" and method != "HEAD":
            answer = request(Client(), world, row, method, "anonymous")
            body = answer.json()
            code = body["code"] if "code" in body else body["error"]["code"]  # in OpenAI's shape
            assert (answer.status_code, code in ("unauthorized", "invalid_api_key")) == (401, True), (row, method)


def address(world: World, row: str, role: str) -> dict[str, Any]:
    """The arguments of a row's address."""
    kwargs: dict[str, Any] = {}
    for argument in NAMES[row.partition(":")[0]].pattern.converters:
        kwargs |= KWARGS[argument](world, role)
    return kwargs | (VARIANTS[row](world, role) if row in VARIANTS else {})


def request(
    client: Client, world: World, row: str, method: str, role: str, kwargs: dict[str, Any] | None = None
) -> Any:
    name = row.partition(":")[0]
    url = reverse(f"nous_chat:{name}", kwargs=kwargs or address(world, row, role))
    if name == "api-search":
        url += f"?q={SECRET}"
    body = BODIES[row, method](world, role) if (row, method) in BODIES else {}
    if "form" in body:
        return client.post(url, body["form"])
    return client.generic(method, url, json.dumps(body), "application/json")
