"""Guests: visitors without an account, whom the site lets chat within limits."""

import asyncio
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.test import AsyncClient, Client
from django.utils import timezone

from chat import ratelimit, store, turns
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Guest, Message, Participant, Run, Spending
from chat.node import node, visitors
from chat.permissions import policy
from chat.protocol.errors import Refused

from ..support.store_helpers import HOST, begin, end

pytestmark = pytest.mark.django_db
GUESTS = {"messages": 2, "per_address": 2, "most": 3, "budgets": [{"per": "user", "tokens": 50}]}


@pytest.fixture(autouse=True)
def guests_allowed(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.NOUS_CHAT = {"GUESTS": GUESTS}
    monkeypatch.setattr(ratelimit, "_guests", ratelimit.Buckets(ratelimit.GuestBucket))
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)


@pytest.fixture
def guest() -> Any:
    return store.begin_guest()


def room_of(user: Any) -> Conversation:
    return Conversation.objects.get(participants__user=user)


def visit(client: Client, text: str = "Hello", **extra: Any) -> Any:
    return client.post("/chat/guest/", {"text": text}, **extra)


def test_a_visitor_is_nobody_until_they_write(client: Client) -> None:
    page = client.get("/chat/")
    assert (page.status_code, "without an account" in page.content.decode()) == (200, True)
    assert visit(client, " ").status_code == 400
    assert not Guest.objects.exists()
    assert not client.session.keys()


def test_a_guest_has_one_conversation_and_is_anonymous_to_the_rest_of_the_site(client: Client) -> None:
    response = visit(client)
    user = Guest.objects.get().user
    room = room_of(user)
    assert response["Location"] == f"/chat/{room.pk}/"
    page = client.get("/chat/", follow=True)
    assert "You are chatting as a guest." in page.content.decode()
    assert isinstance(page.context["user"], AnonymousUser)
    assert (user.has_usable_password(), policy().name(user)) == (False, "Guest")
    assert list(Message.objects.filter(role="user").values_list("text", "author")) == [("Hello", user.pk)]
    for address in ("/chat/tokens/", "/chat/plain/"):
        assert client.get(address)["Location"].startswith("/accounts/login/"), address
    assert client.post("/chat/api/conversations/", {}, "application/json").status_code == 403
    at = f"/chat/api/conversations/{room.pk}/"
    assert client.get(f"{at}messages/").status_code == 200
    assert client.post(f"{at}participants/", {"username": "x"}, "application/json").status_code == 403
    assert client.post(f"{at}invitations/", {}, "application/json").status_code == 403
    mine = Participant.objects.get(user=user).pk
    assert client.delete(f"{at}participants/{mine}/").status_code == 403


def test_a_guest_whose_conversation_is_deleted_begins_again(client: Client) -> None:
    visit(client)
    assert visit(client, "More")["Location"] == client.get("/chat/")["Location"]
    first = Conversation.objects.get()
    Conversation.objects.update(deleted_at=timezone.now())
    assert "without an account" in client.get("/chat/").content.decode()
    assert visit(client, "Again").status_code == 302
    assert client.get("/chat/")["Location"] != f"/chat/{first.pk}/"


def test_only_so_many_guests_begin_at_an_address_and_on_the_site(client: Client) -> None:
    answers = [visit(Client(), REMOTE_ADDR=f"2001:db8::{number}") for number in range(4)]
    assert [answer.status_code for answer in answers] == [302, 302, 429, 429], "addresses of one network are one"
    assert 'href="/accounts/login/?next=/chat/guest/">Sign in<' in answers[2].content.decode()
    assert visit(Client(), REMOTE_ADDR="192.0.2.1").status_code == 302
    full = visit(Client(), REMOTE_ADDR="192.0.2.2")
    assert (full.status_code, "Sign in to chat" in full.content.decode()) == (403, True)
    assert Guest.objects.count() == 3


def test_trying_again_and_again_keeps_nobody_else_at_the_address_out() -> None:
    bucket = ratelimit.GuestBucket()
    assert [bucket.take(0.0) for _ in range(3)] == [0, 0, 1800]
    assert all(bucket.take(float(now)) for now in range(60, 1800, 60))
    assert not bucket.take(1801.0)


def test_guests_begin_one_after_another_and_addresses_take_turns(settings: Any) -> None:
    """Each begins an answer: sixty at once took the process from everybody else for seconds."""
    settings.NOUS_CHAT = {"GUESTS": GUESTS | {"per_second": 50}}
    begun: list[str] = []

    async def begin_at(address: str) -> None:
        turns.client.set(turns.Stranger(address))
        await visitors.wait_to_begin()
        begun.append(address)

    async def talk() -> None:
        arrived_at = time.monotonic()
        await asyncio.gather(*(begin_at(address) for address in ("one", "one", "one", "two")))
        assert time.monotonic() - arrived_at >= 0.99 * 3 / 50, "each but the first waits for the time to pass"
        assert begun == ["one", "one", "two", "one"] or begun == ["one", "two", "one", "one"]

    asyncio.run(talk())


def test_a_visitor_who_would_wait_too_long_is_refused_and_may_try_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOUS_CHAT = {"GUESTS": GUESTS | {"per_second": 1e-6}}
    monkeypatch.setattr(visitors, "BEGIN_WITHIN", 0.01)

    async def talk() -> None:
        assert (await AsyncClient().post("/chat/guest/", {"text": "Hello"})).status_code == 302
        for _ in range(3):
            refused = await AsyncClient().post("/chat/guest/", {"text": "Hello"})
            assert (refused.status_code, refused["Retry-After"]) == (429, "1")
        assert await Guest.objects.acount() == 1
        left = [ratelimit._guests.of("127.0.0.1").take(time.monotonic()) == 0 for _ in range(2)]
        assert left == [True, False], "attempts that were refused do not count at the address"
        await node.current().drain(5)

    async_to_sync(talk)()


def test_the_run_of_a_guest_is_known_as_such_when_another_process_takes_it(guest: Any, people: Any, room: Any) -> None:
    ours = store.post_message(people["ada"].pk, room.pk, "Hello", None, None, "").start
    theirs = store.post_message(guest[0].pk, guest[1], "Hello", None, None, "").start
    assert {run.id: run.guest for run in store.adopt_runs("other", 10)} == {ours: False, theirs: True}


def test_signing_in_leads_back_from_a_form_that_was_refused(client: Client, people: Any) -> None:
    room = visit(client)["Location"]
    stranger = Client()
    for browser, refused, page in (
        (client, client.post(f"{room}say/", {"text": " "}), room),
        (stranger, visit(stranger, " "), "/chat/"),
    ):
        sign_in = refused.context["sign_in"]
        assert sign_in == f"/accounts/login/?next={refused.request['PATH_INFO']}"
        browser.force_login(people["ada"])
        assert browser.get(sign_in.partition("=")[2])["Location"] == page


def test_a_guest_can_send_so_many_messages_and_spend_so_much(guest: Any) -> None:
    user, room = guest[0], Conversation.objects.get(pk=guest[1])
    for text in ("one", "two"):
        end(begin(user, room, text))
    refused("up to 2 messages", store.post_message, user.pk, room.pk, "three", None, None, "here")
    answer = Message.objects.filter(conversation=room).latest("seq")
    refused("up to 2 messages", store.request_run, user.pk, room.pk, answer.pk, "here")
    question = Message.objects.get(conversation=room, text="two")
    refused("up to 2 messages", store.edit_message, user.pk, room.pk, question.pk, "2", True, "here")
    Run.objects.all().delete()
    Message.objects.all().delete()
    Spending.objects.create(day=timezone.localdate(), user=user, tokens=60)
    refused("budget", store.post_message, user.pk, room.pk, "again", None, None, "here")


def test_a_guest_attaches_no_files(guest: Any) -> None:
    refused("Sign in to attach", store.upload_attachment, guest[0], guest[1], "a.txt", b"a")


def test_a_guest_only_reads_documents(guest: Any) -> None:
    user, room = guest[0].pk, guest[1]
    new = store.NewDocument("Plan", text="one")
    refused("Sign in to write", store.create_document, user, room, new)
    begin(guest[0], Conversation.objects.get(pk=room))
    document = store.create_document_by_run(Run.objects.get().pk, HOST, uuid.uuid4(), new)
    change = ChangeSet.parse([[0, "zero "], 3])
    refused("Sign in to write", store.push_changes, user, room, document.id, 1, change, None)
    assert store.get_document(user, document.id).text == "one"


def refused(why: str, work: Callable[..., object], *args: Any) -> None:
    with pytest.raises(Refused, match=why):
        work(*args)


def test_all_guests_of_an_address_are_one_client_for_rate_limits(guest: Any, people: Any) -> None:
    other = store.begin_guest()[0]
    assert ratelimit.client_of(guest[0], "192.0.2.1") == ratelimit.client_of(other, "192.0.2.1")
    assert ratelimit.client_of(guest[0], "192.0.2.1") != ratelimit.client_of(other, "192.0.2.2")
    assert ratelimit.client_of(people["ada"], "192.0.2.1") == people["ada"].pk


def test_nobody_can_add_a_guest_to_a_conversation(guest: Any, people: Any, room: Conversation) -> None:
    refused("No user", store.add_participant, people["ada"].pk, room.pk, guest[0].get_username(), "member")


def test_a_guest_never_becomes_the_owner(guest: Any, people: Any) -> None:
    helper = Participant.objects.create(conversation_id=guest[1], user=people["ada"])  # by the site's code
    helper.delete()
    assert list(Participant.objects.values_list("user", "role")) == [(guest[0].pk, "member")]


def test_the_account_gets_the_conversation_when_the_guest_signs_in(client: Client, people: Any) -> None:
    visit(client)
    user = Guest.objects.get().user
    room = room_of(user)
    Conversation.objects.filter(pk=room.pk).update(waiting=[["assistant", str(user.pk), 1]])
    Spending.objects.create(day=timezone.localdate(), user=user, conversation=room, tokens=7)
    client.force_login(people["ada"])
    room.refresh_from_db()
    assert room.waiting == [["assistant", str(people["ada"].pk), 1]]
    assert list(room.participants.values_list("user__username", "role")) == [("ada", "owner")]
    assert Message.objects.get(conversation=room, role="user").author == people["ada"]
    assert Spending.objects.get(tokens=7).user == people["ada"]
    assert client.get(f"/chat/{room.pk}/").status_code == 200
    user.refresh_from_db()
    assert (user.is_active, policy().name(user), Guest.SESSION_KEY in client.session) == (False, "Guest", False)
    assert not store.hand_over_guest(str(user.pk), people["bob"])


def test_retention_erases_guests_with_their_conversations(guest: Any, people: Any) -> None:
    user, room = guest
    old = timezone.now() - timedelta(days=8)
    Guest.objects.update(created_at=old)
    assert store.erase_expired() == 0, "they have just written"
    Conversation.objects.filter(pk=room).update(updated_at=old)
    handed_over, kept = store.begin_guest()
    store.hand_over_guest(str(handed_over.pk), people["ada"])
    Guest.objects.filter(pk=handed_over.pk).update(created_at=old)
    assert store.erase_expired() == 4, "two guests and their conversations"
    assert not get_user_model().objects.filter(pk__in=[user.pk, handed_over.pk]).exists()
    assert list(Conversation.objects.values_list("pk", flat=True)) == [kept]


def test_guests_are_nobody_when_the_site_lets_them_chat_no_more(client: Client, settings: Any) -> None:
    visit(client)
    room = room_of(Guest.objects.get().user)
    settings.NOUS_CHAT = {}
    assert client.get(f"/chat/{room.pk}/")["Location"].startswith("/accounts/login/")
    assert client.get("/chat/api/conversations/").status_code == 401
    assert visit(Client())["Location"] == "/chat/"


def test_a_row_that_became_an_account_is_not_erased(guest: Any) -> None:
    user, room = guest
    user.set_password("x")
    user.is_active = False  # staff may still look into what they did
    user.save()
    Guest.objects.update(created_at=timezone.now() - timedelta(days=9))
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=9))
    store.erase_expired()
    assert get_user_model().objects.filter(pk=user.pk).exists()
    assert Conversation.objects.filter(pk=room).exists()
