"""API tokens over HTTP: who they stand for, what they may do, and where they are shown."""

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from chat import ratelimit, store
from chat.logs import hide_secrets
from chat.models import ApiToken, Conversation

URL = "/chat/api/conversations/"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)
    monkeypatch.setattr(ratelimit, "_requests", ratelimit.Buckets(ratelimit.Bucket))


@pytest.fixture
def token(people: dict[str, Any]) -> str:
    """Ada's."""
    return store.create_token(people["ada"].pk, "script")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_needs_neither_cookie_nor_csrf_token(token: str) -> None:
    client = Client(enforce_csrf_checks=True)
    made = client.post(URL, {"title": "Mine"}, "application/json", headers=bearer(token))
    assert (made.status_code, made.json()["title"]) == (201, "Mine")
    listed = client.get(URL, headers=bearer(token))
    assert [each["title"] for each in listed.json()["conversations"]] == ["Mine"]
    assert listed["Cache-Control"] == "private, no-store"
    assert ApiToken.objects.get().last_used_at is not None


def test_cookies_of_a_request_with_a_token_are_ignored(token: str, people: Any, room: Conversation) -> None:
    client = Client()
    client.force_login(people["eve"])
    assert client.get(f"{URL}{room.pk}/").status_code == 404
    assert client.get(f"{URL}{room.pk}/", headers=bearer(token)).status_code == 200
    client.force_login(people["ada"])
    assert client.get(f"{URL}{room.pk}/", headers=bearer("nct_wrong")).status_code == 401


def test_another_scheme_than_bearer_does_not_replace_the_session(people: Any) -> None:
    """Such as the password with which a proxy guards a whole site. A page of another site can make a browser send it,
    so it exempts from nothing.
    """
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["ada"])
    headers = {"Authorization": "Basic YTpi"}
    assert client.get(URL, headers=headers).status_code == 200
    assert client.post(URL, {}, "application/json", headers=headers).status_code == 403


def revoke(token: ApiToken) -> None:
    store.revoke_token(token.user_id, token.pk)


def expire(token: ApiToken) -> None:
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def deactivate(token: ApiToken) -> None:
    get_user_model().objects.update(is_active=False)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(revoke, "not valid, or it was revoked"), (expire, "has expired"), (deactivate, "account of this token")],
)
def test_a_token_that_is_no_longer_valid_says_why(token: str, spoil: Callable[[ApiToken], None], reason: str) -> None:
    spoil(ApiToken.objects.get())
    answer = Client().get(URL, headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert reason in answer.json()["message"]
    assert answer["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("wrong", ["", "nct_", "x" * 5000, "nct_\x00", "nct_é", "Ada Lovelace", "nct_wrong, Bearer a"])
def test_a_wrong_token_is_refused(token: str, wrong: str) -> None:
    answer = Client().get(URL, headers=bearer(wrong))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_without_anything_the_answer_names_the_scheme(db: None) -> None:
    answer = Client().get(URL)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(("scopes", "reading", "writing"), [("read", 200, 403), ("write", 403, 201)])
def test_a_token_does_only_what_its_scopes_allow(people: Any, scopes: str, reading: int, writing: int) -> None:
    headers = bearer(store.create_token(people["ada"].pk, "script", scopes))
    read = Client().get(URL, headers=headers)
    written = Client().post(URL, {}, "application/json", headers=headers)
    assert (read.status_code, written.status_code) == (reading, writing)
    refused = next(answer for answer in (read, written) if answer.status_code == 403)
    assert refused.json()["code"] == "forbidden"
    assert '"write"' in refused.json()["message"] or '"read"' in refused.json()["message"]


def test_the_use_of_a_token_is_stored_once_a_minute(token: str, django_assert_num_queries: Any) -> None:
    store.use_token(token)
    used = ApiToken.objects.get().last_used_at
    with django_assert_num_queries(1):
        store.use_token(token)
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    store.use_token(token)
    assert ApiToken.objects.get().last_used_at > used  # type: ignore[operator]


def test_the_table_does_not_contain_the_token(token: str) -> None:
    row = ApiToken.objects.values().get()
    assert token not in str(row)
    assert row["hint"] == f"nct_…{token[-4:]}"


def test_requests_with_a_token_are_counted_for_its_user(token: str, people: Any, settings: Any) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 0.001, "COMMAND_BURST": 2}
    other = store.create_token(people["ada"].pk, "another")
    answers = [Client().get(URL, headers=bearer(each)).status_code for each in (token, other, token)]
    assert answers == [200, 200, 429]


# --- Tokens of the site


def find_by_badge(request: HttpRequest) -> Any:
    badge = request.headers["Authorization"].removeprefix("Bearer badge-")
    return get_user_model().objects.filter(username=badge).first()


async def find_later(request: HttpRequest) -> Any:
    return None


def test_a_site_may_have_tokens_of_its_own(token: str, people: Any, settings: Any) -> None:
    assert Client().get(URL, headers=bearer("badge-bob")).status_code == 401
    settings.NOUS_CHAT = {"AUTHENTICATE": f"{__name__}.find_by_badge"}
    made = Client(enforce_csrf_checks=True).post(URL, {}, "application/json", headers=bearer("badge-bob"))
    assert made.status_code == 201
    assert Conversation.objects.get().people.get() == people["bob"]
    assert Client().get(URL, headers=bearer("badge-nobody")).status_code == 401
    assert Client().get(URL, headers=bearer(token)).status_code == 200
    people["bob"].is_active = False
    people["bob"].save()
    assert Client().get(URL, headers=bearer("badge-bob")).status_code == 401


@pytest.mark.parametrize("path", ["no.such.module", f"{__name__}.URL", f"{__name__}.find_later", "plain"])
def test_the_check_finds_a_function_that_cannot_work(settings: Any, path: str) -> None:
    settings.NOUS_CHAT = {"AUTHENTICATE": path}
    assert [problem.id for problem in run_checks(tags=["nous_chat"]) if "AUTHENTICATE" in problem.msg] == [
        "nous_chat.E013"
    ]
    settings.NOUS_CHAT = {"AUTHENTICATE": f"{__name__}.find_by_badge"}
    assert not [problem for problem in run_checks(tags=["nous_chat"]) if "AUTHENTICATE" in problem.msg]


# --- Where tokens are made


def test_the_command_prints_a_token_alone_on_a_line(people: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("nous_token", "ada", "--name", "backup", "--scopes", "read", "--days", "3")
    printed = capsys.readouterr().out
    assert re.fullmatch(r"nct_[\w-]{43}\n", printed)
    row = ApiToken.objects.get()
    assert (row.user, row.name, row.scopes) == (people["ada"], "backup", "read")
    assert timedelta(days=2.9) < row.expires_at - timezone.now() < timedelta(days=3)  # type: ignore[operator]
    assert Client().get(URL, headers=bearer(printed.strip())).status_code == 200


@pytest.mark.parametrize("arguments", [["nobody"], ["ada", "--days", "0"], ["ada", "--name", " "]])
def test_the_command_says_what_is_wrong(people: Any, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("nous_token", *arguments)
    assert not ApiToken.objects.exists()


def test_the_page_shows_a_new_token_once_and_revokes_it(people: Any) -> None:
    client = Client()
    client.force_login(people["ada"])
    made = client.post("/chat/tokens/", {"name": "<b>phone</b>", "scopes": "read write", "days": "90"})
    (token,) = re.findall(r"nct_[\w-]{43}", made.content.decode())
    assert "no-store" in made["Cache-Control"]
    assert Client().get(URL, headers=bearer(token)).status_code == 200
    again = client.get("/chat/tokens/").content.decode()
    assert token not in again
    assert f"nct_…{token[-4:]}" in again
    assert "&lt;b&gt;phone&lt;/b&gt;" in again
    assert "Last used" in again
    left = client.post(f"/chat/tokens/{ApiToken.objects.get().pk}/revoke/", follow=True)
    assert "phone" not in left.content.decode()
    assert Client().get(URL, headers=bearer(token)).status_code == 401


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"name": "", "scopes": "read", "days": "30"}, 400),
        ({"name": "x" * 101, "scopes": "read", "days": "30"}, 400),
        ({"name": "a", "scopes": "admin", "days": "30"}, 400),
        ({"name": "a", "scopes": "read", "days": "9999999999"}, 400),
        ({}, 400),
    ],
)
def test_the_page_refuses_what_its_form_does_not_offer(people: Any, form: dict[str, str], status: int) -> None:
    client = Client()
    client.force_login(people["ada"])
    assert client.post("/chat/tokens/", form).status_code == status
    assert not ApiToken.objects.exists()


def test_a_user_cannot_have_any_number_of_tokens(people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.store.tokens.MAX_TOKENS", 1)
    client = Client()
    client.force_login(people["ada"])
    form = {"name": "a", "scopes": "read", "days": ""}
    assert [client.post("/chat/tokens/", form).status_code for _ in range(2)] == [201, 409]


def test_a_token_is_not_accepted_by_pages(token: str) -> None:
    """They answer to the session: a token cannot make another one."""
    form = {"name": "a", "scopes": "read write", "days": ""}
    answer = Client().post("/chat/tokens/", form, headers=bearer(token))
    assert answer["Location"].startswith("/accounts/login/")


def test_the_admin_shows_a_new_token_once(db: None, django_user_model: Any) -> None:
    root = django_user_model.objects.create_superuser("root")
    client = Client()
    client.force_login(root)
    form = {"user": root.pk, "name": "Mine", "scopes": "read", "expires_at_0": "", "expires_at_1": ""}
    made = client.post("/admin/nous_chat/apitoken/add/", form)
    (token,) = re.findall(r"nct_[\w-]{43}", made.content.decode())
    assert Client().get(URL, headers=bearer(token)).status_code == 200
    for page in ("", f"{ApiToken.objects.get().pk}/change/", f"{ApiToken.objects.get().pk}/history/"):
        assert token not in client.get(f"/admin/nous_chat/apitoken/{page}").content.decode()


def test_no_log_contains_a_token(token: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Client().get(f"{URL}?token={token}", headers=bearer(token))
    assert hide_secrets(f"GET /?t={token} Authorization: Bearer {token}") == "GET /?t=nct_*** Authorization: Bearer ***"
    assert hide_secrets("authorization: bearer abcdefghijklmnopqrstuvw") == "authorization: bearer ***"
    assert token not in hide_secrets(caplog.text)
