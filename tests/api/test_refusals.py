"""What is refused, over everything there is: a viewer does nothing but read; other rooms' ids are as good as none."""

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
    """That of the test's transaction: an asynchronous view must not close it."""
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)


@pytest.fixture
def room(people: dict[str, Any]) -> Conversation:
    """Ada owns it, Eve is a viewer. There is a message, an answer that can be made again, and a call that waits."""
    return furnish(people["ada"], people["eve"])


@pytest.fixture
def elsewhere(people: dict[str, Any]) -> Conversation:
    """Another one like it, of Bob's."""
    return furnish(people["bob"])


def furnish(owner: Any, viewer: Any = None) -> Conversation:
    made = Conversation.objects.create(agent="assistant", answers="always", title="Secret")
    Participant.objects.create(conversation=made, user=owner, role="owner")
    if viewer is not None:
        Participant.objects.create(conversation=made, user=viewer, role="viewer")
    started = begin(owner, made)
    end(started)
    assert started.message.run is not None
    ToolCall.objects.create(
        pk=uuid.uuid4(), run_id=started.message.run.id, call_id="c", name="x", status="awaiting_approval"
    )
    Run.objects.update(status="awaiting_approval")
    store.create_invitation(owner.pk, made.pk, "member", 3600, None)
    return made


def said(room: Conversation) -> Message:
    return Message.objects.get(conversation=room, role="user")


def answer(room: Conversation) -> Message:
    return Message.objects.get(conversation=room, role="assistant")


def every_command(room: Conversation) -> dict[str, tuple[str, dict[str, Any]]]:
    """What a viewer gets for each command: `read` (it is answered) or `refused`, and fields that make sense."""
    question, reply = str(said(room).pk), str(answer(room).pk)
    run, call = str(answer(room).run.pk), str(ToolCall.objects.get(run__conversation=room).pk)
    return {
        "message.send": ("refused", {"client_id": str(uuid.uuid4()), "text": "Hello"}),
        "message.edit": ("refused", {"message": question, "text": "Changed"}),
        "message.delete": ("refused", {"message": question}),
        "message.restore": ("refused", {"message": question}),
        "message.choose": ("refused", {"message": reply}),
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
    """All rows of a room that others see."""
    return (
        list(
            Conversation.objects.filter(pk=room.pk).values(
                "title", "agent", "answers", "mode", "last_seq", "deleted_at"
            )
        ),
        list(Message.objects.filter(conversation=room).values("pk", "text", "shown", "deleted_at")),
        list(Run.objects.filter(conversation=room).values("pk", "status", "stop_requested_at")),
        list(ToolCall.objects.filter(run__conversation=room).values("pk", "status")),
        list(Participant.objects.filter(conversation=room).values("user", "role")),
        list(Invitation.objects.filter(conversation=room).values("pk")),
    )


def test_a_viewer_can_do_nothing_but_read_over_the_socket(scenario: Scenario, people: Any, room: Conversation) -> None:
    asked = every_command(room)
    assert set(asked) == {command.__struct_config__.tag for command in commands.COMMANDS}, "a new one belongs here"
    before = state(room)

    async def talk() -> None:
        async with InProcess(people["eve"], room.pk) as eve:
            for command, (expected, fields) in asked.items():
                await eve.send(command, ref=command, **fields)
                heard = await eve.answered(command)
                if expected == "refused":
                    assert (heard["type"], heard["code"]) == ("error", "forbidden"), (command, heard)
                else:
                    assert heard["type"] != "error", (command, heard)

    scenario(talk)
    assert state(room) == before


def every_address(room: Conversation) -> Iterator[tuple[str, str, dict[str, Any], int]]:
    """Method, address, body, and the status that a viewer gets: of everything below a conversation's id."""
    ids: dict[str, Any] = {"conversation_id": room.pk}
    there = ids | {"participant_id": room.participants.get(role="owner").pk}
    link = ids | {"invitation_id": Invitation.objects.get(conversation=room).pk}
    message = ids | {"message_id": said(room).pk}
    file = {"file": True}
    asked: list[tuple[str, dict[str, Any], list[tuple[str, dict[str, Any], int]]]] = [
        ("conversation", ids, [("GET", {}, 200)]),
        ("say", ids, [("POST", {}, 403)]),
        ("api-conversation", ids, [("GET", {}, 200), ("PATCH", {"title": "Mine"}, 403), ("DELETE", {}, 403)]),
        ("api-conversation", ids, [("PATCH", {"answers": "off"}, 403), ("PATCH", {"agents": ["assistant"]}, 403)]),
        ("api-conversation", ids, [("PATCH", {"pinned": True}, 200)]),
        ("api-restore", ids, [("POST", {}, 200)]),  # it is there: nothing changes
        ("api-messages", ids, [("GET", {}, 200)]),
        ("api-edits", message, [("GET", {}, 200)]),
        ("api-attachments", ids, [("POST", file, 403)]),
        ("api-participants", ids, [("GET", {}, 200), ("POST", {"username": "bob"}, 403)]),
        ("api-participant", there, [("PATCH", {"role": "viewer"}, 403), ("DELETE", {}, 403)]),
        ("api-invitations", ids, [("GET", {}, 403), ("POST", {}, 403)]),
        ("api-invitation", link, [("DELETE", {}, 403)]),
        ("api-fork", ids, [("POST", {"message": str(said(room).pk)}, 403)]),
    ]
    for name, given, requests in asked:
        for method, body, status in requests:
            yield method, reverse(f"nous_chat:{name}", kwargs=given), body, status


WITHOUT_A_ROOM = {"home", "plain", "begin", "join", "attachment", "diagram", "api-search", "api-conversations"}


def ask(user: Any, method: str, address: str, body: dict[str, Any]) -> Any:
    client = Client()
    client.force_login(user)
    if "file" in body:
        return client.post(address, {"file": SimpleUploadedFile("a.txt", b"text")})
    return client.generic(method, address, json.dumps(body), "application/json")


def test_a_viewer_can_do_nothing_but_read_over_http(people: Any, room: Conversation) -> None:
    named = {pattern.name for pattern in urls.urlpatterns} - WITHOUT_A_ROOM
    tried = list(every_address(room))
    assert len(named) == len({address for _, address, _, _ in tried}), "a new address belongs here"
    before = state(room)
    for method, address, body, status in tried:
        assert ask(people["eve"], method, address, body).status_code == status, (method, address, body)
    assert state(room) == before


def test_a_room_that_is_not_yours_and_one_that_is_not_there_answer_alike_over_http(
    people: Any, elsewhere: Conversation, room: Conversation
) -> None:
    for method, address, body, _ in every_address(elsewhere):
        foreign = ask(people["eve"], method, address, body)
        none = ask(people["eve"], method, address.replace(str(elsewhere.pk), str(uuid.uuid4())), body)
        assert foreign.status_code == none.status_code == 404, (method, address, foreign.status_code)
        if "/api/" in address:
            assert foreign.content == none.content, address


def test_a_room_that_is_not_yours_and_one_that_is_not_there_answer_alike_on_sockets(
    scenario: Scenario, people: Any, elsewhere: Conversation
) -> None:
    async def talk() -> None:
        heard = []
        for address in (elsewhere.pk, uuid.uuid4(), "nonsense"):
            async with InProcess(people["eve"], address) as eve:
                heard.append((await eve.shut(), eve.events))
        assert heard == [(4404, [])] * 3

    scenario(talk)


def test_what_belongs_to_another_room_is_as_good_as_none(
    scenario: Scenario, people: Any, room: Conversation, elsewhere: Conversation
) -> None:
    """Ada may do anything in her room; ids of Bob's do her no good there, and she learns nothing of them."""
    Run.objects.filter(conversation=room).update(status="completed")
    before = state(elsewhere)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            for command, (_, fields) in every_command_of(elsewhere).items():
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

    everything = every_command(elsewhere)
    client_id = str(uuid.uuid4())
    everything["message.send"] = ("", {"client_id": client_id, "text": "x", "reply_to": str(said(elsewhere).pk)})
    everything["run.start"] = ("", {"message": str(answer(elsewhere).pk)})

    def every_command_of(_: Conversation) -> dict[str, tuple[str, dict[str, Any]]]:
        return everything

    scenario(talk)
    assert state(elsewhere) == before
