"""Refusals, for every command and every URL: viewers can only read, and foreign ids look like unknown ones."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from chat import store, urls
from chat.models import Conversation, Invitation, Message, Participant, Run, ToolCall
from chat.protocol import commands

from ..support.client import InProcess
from ..support.store_helpers import begin, end

Scenario = Callable[..., Any]


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep asynchronous views from closing the connection that holds the test's transaction."""
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)


@pytest.fixture
def room(people: dict[str, Any]) -> Conversation:
    """Ada is the owner, Eve a viewer. It has a message, an answer, and a tool call that awaits approval."""
    return build(people["ada"], people["eve"])


@pytest.fixture
def foreign(people: dict[str, Any]) -> Conversation:
    """The same for Bob alone."""
    return build(people["bob"])


def build(owner: Any, viewer: Any = None) -> Conversation:
    conversation = Conversation.objects.create(agent="assistant", answers="always", title="Secret")
    Participant.objects.create(conversation=conversation, user=owner, role="owner")
    if viewer is not None:
        Participant.objects.create(conversation=conversation, user=viewer, role="viewer")
    started = begin(owner, conversation)
    end(started)
    assert started.message.run is not None
    ToolCall.objects.create(
        pk=uuid.uuid4(), run_id=started.message.run.id, call_id="c", name="x", status="awaiting_approval"
    )
    Run.objects.update(status="awaiting_approval")
    store.create_invitation(owner.pk, conversation.pk, "member", 3600, None)
    return conversation


def question(room: Conversation) -> Message:
    return Message.objects.get(conversation=room, role="user")


def answer(room: Conversation) -> Message:
    return Message.objects.get(conversation=room, role="assistant")


def every_command(room: Conversation) -> dict[str, tuple[str, dict[str, Any]]]:
    """For each command: valid fields, and whether a viewer may `read` with it or is `refused`."""
    asked, answered = str(question(room).pk), str(answer(room).pk)
    run, call = str(answer(room).run.pk), str(ToolCall.objects.get(run__conversation=room).pk)
    return {
        "message.send": ("refused", {"client_id": str(uuid.uuid4()), "text": "Hello"}),
        "message.edit": ("refused", {"message": asked, "text": "Changed"}),
        "message.delete": ("refused", {"message": asked}),
        "message.restore": ("refused", {"message": asked}),
        "message.choose": ("refused", {"message": answered}),
        "run.start": ("refused", {}),
        "run.stop": ("refused", {"run": run}),
        "tool.decide": ("refused", {"call": call, "decision": "approve"}),
        "typing": ("refused", {"on": True}),
        "run.sync": ("read", {"run": run}),
        "run.ack": ("read", {"run": run, "seq": 1}),
        "history.load": ("read", {"before": 100}),
        "read": ("read", {"seq": 1}),
        "ping": ("read", {}),
    }


def state(room: Conversation) -> Any:
    """The rows of a conversation that a refused command must not change."""
    return (
        list(Conversation.objects.filter(pk=room.pk).values()),
        list(Message.objects.filter(conversation=room).values()),
        list(Run.objects.filter(conversation=room).values()),
        list(ToolCall.objects.filter(run__conversation=room).values()),
        list(Participant.objects.filter(conversation=room).values("user", "role")),  # the rest is each user's own
        list(Invitation.objects.filter(conversation=room).values()),
    )


def test_a_viewer_can_only_read_over_the_socket(scenario: Scenario, people: Any, room: Conversation) -> None:
    cases = every_command(room)
    assert set(cases) == {command.__struct_config__.tag for command in commands.COMMANDS}, "add the new command"
    before = state(room)

    async def talk() -> None:
        async with InProcess(people["eve"], room.pk) as eve:
            for command, (expected, fields) in cases.items():
                await eve.send(command, ref=command, **fields)
                heard = await eve.answered(command)
                if expected == "refused":
                    assert (heard["type"], heard["code"]) == ("error", "forbidden"), (command, heard)
                else:
                    assert heard["type"] != "error", (command, heard)

    scenario(talk)
    assert state(room) == before


def every_url(room: Conversation) -> Iterator[tuple[str, str, dict[str, Any], int]]:
    """Method, URL, body, and the status that a viewer gets, for every URL with a conversation's id."""
    ids: dict[str, Any] = {"conversation_id": room.pk}
    owner = ids | {"participant_id": room.participants.get(role="owner").pk}
    link = ids | {"invitation_id": Invitation.objects.get(conversation=room).pk}
    message = ids | {"message_id": question(room).pk}
    file = {"file": True}
    cases: list[tuple[str, dict[str, Any], list[tuple[str, dict[str, Any], int]]]] = [
        ("conversation", ids, [("GET", {}, 200)]),
        ("say", ids, [("POST", {}, 403)]),
        ("api-conversation", ids, [("GET", {}, 200), ("PATCH", {"title": "Mine"}, 403), ("DELETE", {}, 403)]),
        ("api-conversation", ids, [("PATCH", {"answers": "off"}, 403), ("PATCH", {"agents": ["assistant"]}, 403)]),
        ("api-conversation", ids, [("PATCH", {"pinned": True}, 200)]),
        ("api-restore", ids, [("POST", {}, 200)]),  # it is not deleted, so nothing changes
        ("api-messages", ids, [("GET", {}, 200)]),
        ("api-edits", message, [("GET", {}, 200)]),
        ("api-attachments", ids, [("POST", file, 403)]),
        ("api-participants", ids, [("GET", {}, 200), ("POST", {"username": "bob"}, 403)]),
        ("api-participant", owner, [("PATCH", {"role": "viewer"}, 403), ("DELETE", {}, 403)]),
        ("api-invitations", ids, [("GET", {}, 403), ("POST", {}, 403)]),
        ("api-invitation", link, [("DELETE", {}, 403)]),
        ("api-fork", ids, [("POST", {"message": str(question(room).pk)}, 403)]),
    ]
    for name, given, requests in cases:
        for method, body, status in requests:
            yield method, reverse(f"nous_chat:{name}", kwargs=given), body, status


WITHOUT_CONVERSATION = {
    *("home", "plain", "begin", "join", "attachment", "diagram", "api-search", "api-conversations", "api-token")
}


def request(user: Any, method: str, url: str, body: dict[str, Any]) -> Any:
    client = Client()
    client.force_login(user)
    if "file" in body:
        return client.post(url, {"file": SimpleUploadedFile("a.txt", b"text")})
    return client.generic(method, url, json.dumps(body), "application/json")


def test_a_viewer_can_only_read_over_http(people: Any, room: Conversation) -> None:
    names = {pattern.name for pattern in urls.urlpatterns} - WITHOUT_CONVERSATION
    cases = list(every_url(room))
    assert len(names) == len({url for _, url, _, _ in cases}), "add the new URL"
    before = state(room)
    for method, url, body, status in cases:
        assert request(people["eve"], method, url, body).status_code == status, (method, url, body)
    assert state(room) == before


@pytest.mark.parametrize("guarded", [False, True], ids=["alone", "LoginRequiredMiddleware"])
def test_who_is_signed_out_gets_401_as_json(settings: Any, people: Any, room: Conversation, guarded: bool) -> None:
    if guarded:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    cases = [(method, url, body) for method, url, body, _ in every_url(room) if "/api/" in url]
    more = [reverse(f"nous_chat:{name}") for name in ("api-token", "api-conversations", "api-search")]
    for method, url, body in cases + [("GET", url, {}) for url in more]:
        answer = Client().generic(method, url, json.dumps(body), "application/json")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (method, url)


def test_a_new_token_passes_the_check(people: Any, room: Conversation) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["ada"])
    url = reverse("nous_chat:api-conversations")
    assert client.post(url, "{}", "application/json").status_code == 403
    token = client.get(reverse("nous_chat:api-token")).json()
    assert token["user"] == str(people["ada"].pk)
    assert client.post(url, "{}", "application/json", headers={"X-CSRFToken": token["csrf"]}).status_code == 201


def test_a_foreign_conversation_looks_like_an_unknown_one_over_http(
    people: Any, foreign: Conversation, room: Conversation
) -> None:
    for method, url, body, _ in every_url(foreign):
        of_foreign = request(people["eve"], method, url, body)
        of_unknown = request(people["eve"], method, url.replace(str(foreign.pk), str(uuid.uuid4())), body)
        assert of_foreign.status_code == of_unknown.status_code == 404, (method, url, of_foreign.status_code)
        if "/api/" in url:
            assert of_foreign.content == of_unknown.content, url


def test_a_foreign_conversation_looks_like_an_unknown_one_over_the_socket(
    scenario: Scenario, people: Any, foreign: Conversation
) -> None:
    async def talk() -> None:
        results = []
        for address in (foreign.pk, uuid.uuid4(), "nonsense"):
            async with InProcess(people["eve"], address) as eve:
                results.append((await eve.wait_closed(), eve.events))
        assert results == [(4404, [])] * 3

    scenario(talk)


def test_ids_of_another_conversation_look_like_unknown_ids(
    scenario: Scenario, people: Any, room: Conversation, foreign: Conversation
) -> None:
    """Ada owns her conversation. Ids from Bob's are useless in it, and their refusals reveal nothing."""
    Run.objects.filter(conversation=room).update(status="completed")
    before = state(foreign)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            for command, (_, fields) in cases.items():
                ids = {name: value for name, value in fields.items() if name in ("message", "run", "call", "reply_to")}
                if not ids or command == "run.ack":
                    continue
                answers = []
                for given in (fields, fields | dict.fromkeys(ids, str(uuid.uuid4()))):
                    ref = str(uuid.uuid4())
                    await ada.send(command, ref=ref, **given)
                    answers.append(await ada.answered(ref) | {"ref": None})
                assert answers[0] == answers[1], command
                assert (answers[0]["type"], answers[0]["code"]) == ("error", "not_found"), command

    cases = every_command(foreign)
    client_id = str(uuid.uuid4())
    cases["message.send"] = ("", {"client_id": client_id, "text": "x", "reply_to": str(question(foreign).pk)})
    cases["run.start"] = ("", {"message": str(answer(foreign).pk)})

    scenario(talk)
    assert state(foreign) == before
