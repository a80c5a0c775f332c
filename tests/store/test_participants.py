"""Participants added, removed and changed: over HTTP, in the store, and on sockets."""

import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection, transaction
from django.test import Client

from chat import permissions, store
from chat.actions import participants
from chat.models import Conversation, Invitation, Message, Participant, Run, ToolCall
from chat.protocol import commands
from chat.protocol.errors import Refused

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, join, post, refused, somebody_waits

Scenario = Callable[..., Any]


def pk(room: Conversation, user: Any) -> int:
    return int(Participant.objects.get(conversation=room, user=user).pk)


def roles(room: Conversation) -> dict[str, str]:
    return {row.user.username: row.role for row in room.participants.select_related("user")}


def ask(user: Any, method: str, address: str, **body: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client.generic(method, f"/chat/api/conversations/{address}", json.dumps(body), "application/json")


def test_an_owner_adds_a_user_by_name_and_a_system_message_says_so(people: Any, room: Conversation) -> None:
    answer = ask(people["ada"], "POST", f"{room.pk}/participants/", username="eve", role="viewer")
    assert answer.status_code == 201
    made = answer.json()
    assert (made["user"]["name"], made["role"]) == ("eve", "viewer")
    notice = Message.objects.get(conversation=room, role="system")
    assert notice.text == "ada added eve."
    listed = ask(people["bob"], "GET", f"{room.pk}/participants/").json()["participants"]
    assert [p["user"]["name"] for p in listed] == ["ada", "bob", "eve"]
    assert listed[2]["id"] == made["id"]


def test_earlier_messages_are_not_unread_for_new_participants(people: Any, room: Conversation) -> None:
    post(people["ada"], room)
    store.add_participant(people["ada"].pk, room.pk, "eve", "member")
    mine = store.list_conversations(people["eve"].pk)[0][0].yours
    assert mine is not None
    assert mine.unread == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"username": "nobody"}, 404, "not_found"),
        ({"username": "bob"}, 409, "conflict"),
        ({"username": "eve", "role": "owner"}, 400, "invalid"),
        ({"username": "eve", "role": "king"}, 400, "invalid"),
        ({"username": 7}, 400, "invalid"),
        ({"role": "member"}, 400, "invalid"),
        ({"username": "eve", "rolle": "member"}, 400, "invalid"),
    ],
)
def test_an_invalid_addition_is_refused_with_its_reason(
    people: Any, room: Conversation, body: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(people["ada"], "POST", f"{room.pk}/participants/", **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert roles(room) == {"ada": "owner", "bob": "member"}


def test_a_deactivated_user_cannot_be_added(people: Any, room: Conversation) -> None:
    people["eve"].is_active = False
    people["eve"].save()
    with refused("not_found"):
        store.add_participant(people["ada"].pk, room.pk, "eve", "member")


@pytest.mark.parametrize("most", [2, 1])
def test_the_number_of_participants_is_limited(people: Any, room: Conversation, settings: Any, most: int) -> None:
    """Also if the limit is lower now than when they came."""
    settings.NOUS_CHAT = {"MAX_PARTICIPANTS": most}
    with refused("conflict"):
        store.add_participant(people["ada"].pk, room.pk, "eve", "member")


def test_a_member_leaves_and_a_system_message_says_so(people: Any, room: Conversation) -> None:
    assert ask(people["bob"], "DELETE", f"{room.pk}/participants/{pk(room, people['bob'])}/").status_code == 204
    assert roles(room) == {"ada": "owner"}
    assert Message.objects.get(role="system").text == "bob left."
    with refused("not_found"):
        post(people["bob"], room)


def test_a_removed_users_links_are_deleted(
    people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOUS_CHAT = {"PERMISSIONS": f"{__name__}.EverybodyInvites"}
    link = store.create_invitation(people["bob"].pk, room.pk, "member", 3600, None)
    store.remove_participant(people["ada"].pk, room.pk, pk(room, people["bob"]))
    assert Message.objects.get(role="system").text == "ada removed bob."
    assert not Invitation.objects.exists()
    with refused("not_found"):
        join(people["eve"], link.token)


class EverybodyInvites(permissions.Permissions):
    def can_invite(self, participant: Participant) -> bool:
        return True


def test_an_owner_transfers_ownership_and_becomes_a_member(people: Any, room: Conversation) -> None:
    answer = ask(people["ada"], "PATCH", f"{room.pk}/participants/{pk(room, people['bob'])}/", role="owner")
    assert (answer.status_code, answer.json()["role"]) == (200, "owner")
    assert roles(room) == {"ada": "member", "bob": "owner"}
    store.remove_participant(people["ada"].pk, room.pk, pk(room, people["ada"]))
    assert roles(room) == {"bob": "owner"}


def test_a_changed_role_takes_effect_at_once(people: Any, room: Conversation) -> None:
    store.change_role(people["ada"].pk, room.pk, pk(room, people["bob"]), "viewer")
    with refused("forbidden"):
        post(people["bob"], room)
    store.change_role(people["ada"].pk, room.pk, pk(room, people["bob"]), "member")
    assert post(people["bob"], room).message.text == "Hello"


def test_a_conversation_never_loses_its_owner(people: Any, room: Conversation) -> None:
    mine = pk(room, people["ada"])
    with refused("conflict"):
        store.remove_participant(people["ada"].pk, room.pk, mine)
    with refused("conflict"):
        store.change_role(people["ada"].pk, room.pk, mine, "member")
    people["ada"].delete()
    assert roles(room) == {"bob": "owner"}, "the longest-standing participant follows a deleted account"


def test_members_come_before_viewers_when_an_owner_is_deleted(people: Any, room: Conversation) -> None:
    Participant.objects.filter(user=people["bob"]).update(role="viewer")
    Participant.objects.create(conversation=room, user=people["eve"], role="member")
    people["ada"].delete()
    assert roles(room) == {"bob": "viewer", "eve": "owner"}


def everything_about_people(room: Conversation, target: Any) -> list[tuple[str, str, dict[str, Any]]]:
    there, link = pk(room, target), Invitation.objects.get(conversation=room).pk
    return [
        ("POST", f"{room.pk}/participants/", {"username": "eve"}),
        ("PATCH", f"{room.pk}/participants/{there}/", {"role": "viewer"}),
        ("PATCH", f"{room.pk}/participants/{there}/", {"role": "owner"}),
        ("DELETE", f"{room.pk}/participants/{there}/", {}),
        ("GET", f"{room.pk}/invitations/", {}),
        ("POST", f"{room.pk}/invitations/", {}),
        ("DELETE", f"{room.pk}/invitations/{link}/", {}),
    ]


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_only_owners_manage_participants(people: Any, room: Conversation, role: str) -> None:
    store.create_invitation(people["ada"].pk, room.pk, "member", 3600, None)
    Participant.objects.filter(conversation=room, user=people["bob"]).update(role=role)
    for method, address, body in everything_about_people(room, people["ada"]):
        answer = ask(people["bob"], method, address, **body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, address)
    assert roles(room) == {"ada": "owner", "bob": role}


def test_strangers_get_the_same_answer_for_any_conversation(people: Any, room: Conversation) -> None:
    store.create_invitation(people["ada"].pk, room.pk, "member", 3600, None)
    for method, address, body in [
        ("GET", f"{room.pk}/participants/", {}),
        *everything_about_people(room, people["bob"]),
    ]:
        mine = ask(people["eve"], method, address, **body)
        none = ask(people["eve"], method, address.replace(str(room.pk), str(uuid.uuid4())), **body)
        assert (mine.status_code, mine.content) == (none.status_code, none.content) == (404, mine.content), address
    assert roles(room) == {"ada": "owner", "bob": "member"}


def test_a_participant_of_another_conversation_is_not_found(people: Any, room: Conversation) -> None:
    other = Conversation.objects.get(pk=store.create_conversation(people["eve"]).id)
    address = f"{room.pk}/participants/{pk(other, people['eve'])}/"
    assert ask(people["ada"], "DELETE", address).status_code == 404
    assert ask(people["ada"], "PATCH", address, role="viewer").status_code == 404


def test_anonymous_requests_get_401(client: Client, room: Conversation) -> None:
    assert client.get(f"/chat/api/conversations/{room.pk}/participants/").status_code == 401


# --- On the sockets


def test_joins_and_departures_are_published_and_removed_users_are_disconnected(
    scenario: Scenario, people: Any, room: Conversation, django_capture_on_commit_callbacks: Any
) -> None:
    def commit(work: Callable[..., Any], *args: Any) -> store.ParticipantChange:
        with django_capture_on_commit_callbacks() as callbacks:
            change: store.ParticipantChange = work(people["ada"].pk, room.pk, *args)
        for callback in callbacks:
            callback()
        return change

    async def change(work: Callable[..., Any], *args: Any) -> None:
        await participants.publish(room.pk, await database_sync_to_async(commit)(work, *args))

    async def talk() -> None:
        async with (
            InProcess(people["ada"], room.pk) as ada,
            InProcess(people["bob"], room.pk) as bob,
            InProcess(people["eve"]) as inbox,
        ):
            await change(store.add_participant, "eve", "member")
            for peer in (ada, bob):
                assert (await peer.hear("participant.joined"))["participant"]["user"]["name"] == "eve"
                assert (await peer.hear("message.created"))["message"]["role"] == "system"
            assert (await inbox.hear("conversation.updated"))["conversation"]["id"] == str(room.pk)
            theirs = ada.of_type("participant.joined")[0]["participant"]
            async with InProcess(people["eve"], room.pk) as eve:
                await change(store.change_role, int(theirs["id"]), "viewer")
                updated = (await eve.hear("participant.updated"))["participant"]
                await eve.until(lambda: eve.snapshot and eve.snapshot["you"]["role"] == "viewer")
                assert updated == theirs | {"role": "viewer"}
                await eve.say("May I?", ref="x")
                assert (await eve.answered("x"))["code"] == "forbidden"
                await change(store.remove_participant, int(theirs["id"]))
                assert await eve.wait_closed() == 4403
            assert (await bob.hear("participant.left"))["participant"]["id"] == theirs["id"]
            assert (await inbox.hear("conversation.removed"))["conversation"] == str(room.pk)
            async with InProcess(people["eve"], room.pk) as late:
                assert late.closed == 4404
            await bob.send("ping", ref="still")
            assert (await bob.answered("still"))["type"] == "pong"

    scenario(talk)


def test_waiting_questions_of_a_removed_user_are_not_answered(people: Any, room: Conversation) -> None:
    """The question waited for another user's run to end."""
    from ..support.store_helpers import begin, end

    started = begin(people["ada"], room)
    post(people["bob"], room, "And for me?")
    store.remove_participant(people["ada"].pk, room.pk, pk(room, people["bob"]))
    finished = end(started)
    assert finished is not None
    assert finished.next is None


def test_system_messages_are_in_the_sites_language(people: Any, room: Conversation, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    change = store.add_participant(people["ada"].pk, room.pk, "eve", "viewer")
    assert change.notice.text == "ada hat eve hinzugefügt."


# --- Users who were removed a moment ago


def _ask_for_approval(people: Any, room: Conversation) -> commands.ToolDecide:
    """A call that awaits the decision of bob, who launched the run."""
    message = begin(people["bob"], room).message
    Run.objects.filter(message=message.id).update(status="awaiting_approval")
    call = ToolCall.objects.create(run=Run.objects.get(), call_id="1", name="delete", status="awaiting_approval")
    return commands.ToolDecide(call=call.pk, decision="approve")


def _several_answers(people: Any, room: Conversation) -> Any:
    first = begin(people["ada"], room).message
    Message.objects.filter(pk=first.id).update(alternative_of=first.id, shown=False)
    Run.objects.update(status="completed")
    return first.id


Action = Callable[[Any, Any, Conversation], Callable[[], Any]]
"""What bob is about to do: prepared first, then done."""

ACTIONS: dict[str, Action] = {
    "add": lambda bob, people, room: lambda: store.add_participant(bob, room.pk, "eve", "member"),
    "post": lambda bob, people, room: lambda: post(people["bob"], room),
    "edit": lambda bob, people, room: partial(
        store.edit_message, bob, room.pk, post(people["bob"], room).message.id, "Other", False, HOST
    ),
    "delete": lambda bob, people, room: partial(
        store.delete_message, bob, room.pk, post(people["bob"], room).message.id
    ),
    "run": lambda bob, people, room: partial(store.request_run, bob, room.pk, None, HOST),
    "decide": lambda bob, people, room: partial(store.decide_call, bob, room.pk, _ask_for_approval(people, room), HOST),
    "choose": lambda bob, people, room: partial(store.choose_alternative, bob, room.pk, _several_answers(people, room)),
    "rename": lambda bob, people, room: partial(
        store.change_conversation, bob, room.pk, store.ConversationChanges(title="Bob's")
    ),
    "hand over": lambda bob, people, room: partial(store.change_role, bob, room.pk, pk(room, people["ada"]), "viewer"),
    "remove": lambda bob, people, room: partial(store.remove_participant, bob, room.pk, pk(room, people["ada"])),
    "invite": lambda bob, people, room: partial(store.create_invitation, bob, room.pk, "member", 3600, None),
    "delete all": lambda bob, people, room: partial(store.delete_conversation, bob, room.pk),
}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer: nobody waits for a row's lock")
@pytest.mark.usefixtures("patient_locks")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_user_removed_while_waiting_for_the_lock_is_refused(people: Any, room: Conversation, action: str) -> None:
    """One connection holds the conversation's lock and removes an owner; another acts as that owner meanwhile."""
    bob = people["bob"].pk
    Participant.objects.filter(user=bob).update(role="owner")
    act = ACTIONS[action](bob, people, room)

    def elsewhere() -> str | None:
        try:
            act()
            return None
        except Refused as refused:
            return refused.code
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Conversation.objects.select_for_update().get(pk=room.pk)
            acting = pool.submit(elsewhere)
            while not acting.done() and not somebody_waits():
                time.sleep(0.01)
            Participant.objects.filter(user=bob).delete()
        assert acting.result(30) == "not_found"
