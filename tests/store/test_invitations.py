"""Invitation links: preview, joining, expiry, revocation, limits, and forged tokens."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.signing import Signer
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat import store
from chat.actions import participants
from chat.models import Conversation, Invitation, Message, Participant, Removal
from chat.protocol.errors import Refused
from chat.realtime import inbox

from ..support.client import InProcess
from ..support.store_helpers import join, refused
from .test_participants import ask, pk, roles


def link(people: Any, room: Conversation, **fields: Any) -> Any:
    answer = ask(people["ada"], "POST", f"{room.pk}/invitations/", **fields)
    assert answer.status_code == 201, answer.content
    return answer.json()


def browser(user: Any) -> Client:
    client = Client(enforce_csrf_checks=False)
    client.force_login(user)
    return client


def test_a_link_shows_a_preview_and_a_form_to_join(people: Any, room: Conversation) -> None:
    Conversation.objects.filter(pk=room.pk).update(title="Chains & <b>oil</b>")
    made = link(people, room, role="viewer")
    assert made["url"] == f"/chat/join/{made['token']}/"
    eve = browser(people["eve"])
    page = eve.get(made["url"])
    assert page.status_code == 200
    assert "Chains &amp; &lt;b&gt;oil&lt;/b&gt;" in page.text
    assert "ada invites you" in page.text
    assert '<form method="post">' in page.text
    assert "<script>" not in page.text
    assert roles(room) == {"ada": "owner", "bob": "member"}, "looking is not joining"
    joined = eve.post(made["url"])
    assert (joined.status_code, joined["Location"]) == (302, f"/chat/{room.pk}/")
    assert roles(room)["eve"] == "viewer"
    assert Message.objects.get(role="system").text == "eve joined, invited by ada."
    assert Invitation.objects.get().uses == 1


def test_joining_twice_neither_uses_up_the_link_nor_changes_the_role(people: Any, room: Conversation) -> None:
    made = link(people, room, role="viewer", max_uses=1)
    assert browser(people["bob"]).post(made["url"]).status_code == 302
    assert roles(room)["bob"] == "member"
    assert Invitation.objects.get().uses == 0


def test_an_invitation_is_checked_once_while_people_wait_for_the_lock(people: Any, room: Conversation) -> None:
    token = link(people, room)["token"]
    with CaptureQueriesContext(connection) as queries:
        join(people["eve"], token)
    checks = [query["sql"] for query in queries if "nous_chat_invitation" in query["sql"] and "JOIN" in query["sql"]]
    assert len(checks) == 1


def test_many_who_join_at_once_make_few_updates_of_lists(
    scenario: Any, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "DELAY", 0.5)
    token = link(people, room)["token"]
    crowd = [get_user_model().objects.create_user(f"guest{number}") for number in range(8)]

    async def join_all() -> None:
        async with InProcess(people["ada"]) as list_of_ada:
            for user in crowd:
                await participants.join(user, token)
            updates = 1
            while (await list_of_ada.hear("conversation.updated", updates))["conversation"]["last_seq"] < len(crowd):
                updates += 1
            assert updates < len(crowd)

    scenario(join_all)


def test_a_participant_can_open_a_used_up_link_again(people: Any, room: Conversation) -> None:
    """After a double click on the form, the browser shows only the second response."""
    made = link(people, room, max_uses=1)
    eve = browser(people["eve"])
    for _ in range(2):
        assert eve.post(made["url"]).status_code == 302
    assert eve.get(made["url"]).status_code == 200
    assert Invitation.objects.get().uses == 1


def test_anonymous_visitors_sign_in_before_they_join(client: Client, people: Any, room: Conversation) -> None:
    made = link(people, room)
    for answer in (client.get(made["url"]), client.post(made["url"])):
        assert answer.status_code == 302
        assert answer["Location"] == f"/accounts/login/?next={made['url']}"


def test_joining_is_protected_against_csrf(people: Any, room: Conversation) -> None:
    made = link(people, room)
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["eve"])
    assert client.post(made["url"]).status_code == 403
    assert "eve" not in roles(room)


def expire(room: Conversation, **_: Any) -> None:
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def revoke(room: Conversation, people: Any, **_: Any) -> None:
    made = Invitation.objects.get()
    assert ask(people["ada"], "DELETE", f"{room.pk}/invitations/{made.pk}/").status_code == 204


def use_up(room: Conversation, **_: Any) -> None:
    Invitation.objects.update(max_uses=1, uses=1)


def demote_its_maker(room: Conversation, people: Any, **_: Any) -> None:
    Participant.objects.filter(user=people["ada"]).update(role="member")


def deactivate_its_maker(room: Conversation, people: Any, **_: Any) -> None:
    people["ada"].is_active = False
    people["ada"].save()


def delete_the_conversation(room: Conversation, **_: Any) -> None:
    Conversation.objects.filter(pk=room.pk).update(deleted_at=timezone.now())


@pytest.mark.parametrize(
    "happens",
    [expire, revoke, use_up, demote_its_maker, deactivate_its_maker, delete_the_conversation],
    ids=lambda happens: happens.__name__,
)
def test_a_link_stops_working(people: Any, room: Conversation, happens: Any) -> None:
    made = link(people, room)
    happens(room=room, people=people)
    eve = browser(people["eve"])
    unknown = eve.get(f"/chat/join/{Signer(salt='nous_chat.invitation', sep='.').sign('A' * 22)}/")
    for answer in (eve.get(made["url"]), eve.post(made["url"])):
        assert answer.status_code == unknown.status_code == 404
        assert "This link does not work" in answer.text
        assert "oil" not in answer.text
    assert "eve" not in roles(room)


def test_a_removed_user_can_only_return_by_name(people: Any, room: Conversation) -> None:
    made = link(people, room)
    bob = browser(people["bob"])
    store.remove_participant(people["ada"].pk, room.pk, pk(room, people["bob"]))
    for answer in (bob.get(made["url"]), bob.post(made["url"]), bob.post(link(people, room)["url"])):
        assert answer.status_code == 403
        assert "You were removed from this conversation." in answer.text
        assert "for a new one" not in answer.text, "a new one is no good either"
        assert "oil" not in answer.text
    assert "bob" not in roles(room)
    assert Invitation.objects.filter(uses=0).count() == 2

    store.add_participant(people["ada"].pk, room.pk, "bob", "member")
    store.remove_participant(people["bob"].pk, room.pk, pk(room, people["bob"]))
    assert bob.post(made["url"]).status_code == 302, "who was let in again, and left, is like anybody"
    assert "bob" in roles(room)
    store.remove_participant(people["ada"].pk, room.pk, pk(room, people["bob"]))
    assert bob.post(made["url"]).status_code == 403


def test_a_removed_user_who_is_a_participant_again_can_leave_and_rejoin(people: Any, room: Conversation) -> None:
    """The site's own code, or the admin, has added them again."""
    made = link(people, room)
    bob = browser(people["bob"])
    store.remove_participant(people["ada"].pk, room.pk, pk(room, people["bob"]))
    Participant.objects.create(conversation=room, user=people["bob"], role="member")
    assert "Open conversation" in bob.get(made["url"]).text
    store.remove_participant(people["bob"].pk, room.pk, pk(room, people["bob"]))
    assert bob.post(made["url"]).status_code == 302, "they left by themselves"
    assert "bob" in roles(room)


def test_a_token_cannot_be_forged(people: Any, room: Conversation, settings: Any) -> None:
    made = link(people, room)
    identity, _, signature = made["token"].partition(".")
    other = Signer(key="another key", salt="nous_chat.invitation", sep=".").sign(identity)
    for token in (identity, f"{identity}.", f"{identity}.{signature[:-1]}", other, f"x.{signature}", "\x00.", "é" * 90):
        with refused("not_found"):
            store.preview_invitation(people["eve"].pk, token)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new key"
    assert store.preview_invitation(people["eve"].pk, made["token"]).conversation == room.pk


def test_the_last_use_of_a_link_admits_one_user(people: Any, room: Conversation, django_user_model: Any) -> None:
    made = link(people, room, max_uses=1)
    join(people["eve"], made["token"])
    with refused("not_found"):
        join(django_user_model.objects.create_user("zoe"), made["token"])
    assert ask(people["ada"], "GET", f"{room.pk}/invitations/").json() == {"invitations": []}


@pytest.mark.parametrize(
    "fields",
    [{"role": "owner"}, {"expires_in": 1}, {"expires_in": 10**9}, {"max_uses": 0}, {"expires_in": "soon"}, {"x": 1}],
)
def test_links_outside_their_limits_are_refused(people: Any, room: Conversation, fields: dict[str, Any]) -> None:
    answer = ask(people["ada"], "POST", f"{room.pk}/invitations/", **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_the_number_of_valid_links_is_limited(people: Any, room: Conversation) -> None:
    from chat.store.invitations import MAX_VALID

    for _ in range(MAX_VALID):
        store.create_invitation(people["ada"].pk, room.pk, "member", 3600, None)
    with refused("conflict"):
        store.create_invitation(people["ada"].pk, room.pk, "member", 3600, None)
    expire(room)
    store.create_invitation(people["ada"].pk, room.pk, "member", 3600, None)
    assert Invitation.objects.count() == 1


def test_a_link_of_another_conversation_cannot_be_revoked(people: Any, room: Conversation) -> None:
    other = store.create_conversation(people["eve"])
    theirs = store.create_invitation(people["eve"].pk, other.id, "member", 3600, None)
    for identity in (theirs.id, uuid.uuid4()):
        assert ask(people["ada"], "DELETE", f"{room.pk}/invitations/{identity}/").status_code == 404
    assert Invitation.objects.count() == 1


def test_a_crowd_joins_in_one_transaction_and_each_is_judged_alone(
    people: Any, room: Conversation, django_user_model: Any, settings: Any
) -> None:
    users = django_user_model.objects
    removed, *crowd = (users.create_user(f"user{number}") for number in range(6))
    Removal.objects.create(conversation=room, user=removed)
    settings.NOUS_CHAT = {"MAX_PARTICIPANTS": room.participants.count() + 3}
    token = link(people, room, max_uses=4)["token"]
    joins = [store.Join(user, token, "en") for user in (people["bob"], crowd[0], removed, crowd[0], *crowd[1:])]
    joins[-1] = store.Join(crowd[-1], token, "de")
    last = Conversation.objects.get().last_seq
    with CaptureQueriesContext(connection) as queries:
        bob, first, refused_, again, *others, full = store.join_together(joins)
    assert sum("BEGIN" in query["sql"] or "SAVEPOINT" in query["sql"][:9] for query in queries) == 1
    assert bob == again == store.Joined(room.pk, None), "inside already"
    assert isinstance(refused_, Refused)
    assert refused_.code == "forbidden"
    changes = [joined.change for joined in (first, *others) if isinstance(joined, store.Joined)]
    assert [change and change.joined[0].user.name for change in changes] == ["user1", "user2", "user3"]
    assert isinstance(full, Refused)
    assert full.code == "conflict"
    assert full.message.startswith("Ein Gespräch"), "in their own language"
    assert Invitation.objects.get().uses == 3
    notices = Message.objects.filter(role="system").order_by("seq")
    assert [(row.seq, row.text.split()[0]) for row in notices] == [
        (last + 1 + number, f"user{number + 1}") for number in range(3)
    ]
    newcomers = room.participants.filter(user__in=crowd).order_by("pk")
    assert [row.last_read for row in newcomers] == [row.seq for row in notices]
    assert Conversation.objects.get().last_seq == last + 3


def test_the_last_uses_of_a_link_are_counted_in_a_crowd(
    people: Any, room: Conversation, django_user_model: Any
) -> None:
    users = [django_user_model.objects.create_user(f"user{number}") for number in range(3)]
    token = link(people, room, max_uses=2)["token"]
    *joined, late = store.join_together([store.Join(user, token, "en") for user in users])
    assert all(isinstance(one, store.Joined) and one.change for one in joined)
    assert isinstance(late, Refused)
    assert late.code == "not_found"
    assert Invitation.objects.get().uses == 2
