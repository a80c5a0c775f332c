"""A site's permissions at every edge: who may use the chat, create conversations, and find them in lists."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import QuerySet
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

import chat
from chat import rooms, store
from chat.models import Conversation, Participant
from chat.permissions import Permissions

from ..support.client import InProcess
from ..support.store_helpers import post, refused

Scenario = Callable[..., Any]

pytestmark = pytest.mark.django_db

AUTHORIZED = {"ada"}


@pytest.fixture(autouse=True)
def authorized() -> Any:
    AUTHORIZED.clear()
    AUTHORIZED.add("ada")


class OnlySome(Permissions):
    def can_use(self, user: Any) -> bool:
        return super().can_use(user) and str(user.get_username()) in AUTHORIZED

    def can_create(self, user: Any) -> bool:
        return str(user.get_username()) == "ada"


class Discreet(Permissions):
    asked = 0

    def can_see(self, participant: Participant) -> bool:
        type(self).asked += 1
        return super().can_see(participant) and participant.conversation.title != "Secret"

    def visible(self, user: Any, conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
        return conversations.exclude(title="Secret")


@pytest.fixture
def only_some(settings: Any) -> None:
    settings.NOUS_CHAT = {"PERMISSIONS": f"{__name__}.OnlySome"}


ADDRESSES = [
    "/chat/",
    "/chat/plain/",
    "/chat/api/conversations/",
    "/chat/api/token/",
    "/chat/{}/",
    "/chat/api/conversations/{}/",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_who_may_use_the_chat_gets_its_pages_and_addresses(
    client: Client, people: Any, room: Conversation, only_some: None, address: str
) -> None:
    for name, status in (("ada", 200), ("bob", 403)):
        client.force_login(people[name])
        assert client.get(address.format(room.pk)).status_code == status, name


def test_only_who_may_use_the_chat_posts_by_the_form_and_by_code(
    client: Client, people: Any, room: Conversation, only_some: None
) -> None:
    for name, status in (("ada", 302), ("bob", 403)):
        client.force_login(people[name])
        assert client.post(f"/chat/{room.pk}/say/", {"text": "Hello"}).status_code == status
    chat.say(room, "Hello", people["ada"])
    for work in (chat.say, chat.ask):
        with refused("not_found"):
            work(room, "Hello", people["bob"])


def test_only_who_may_use_the_chat_opens_sockets_and_a_recheck_closes_them(
    scenario: Scenario, people: Any, room: Conversation, only_some: None, django_capture_on_commit_callbacks: Any
) -> None:
    def withdraw() -> None:
        AUTHORIZED.clear()
        with django_capture_on_commit_callbacks(execute=True):
            chat.recheck(people["ada"])

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob, InProcess(people["bob"]) as inbox:
            assert await bob.wait_closed() == 4403
            assert await inbox.wait_closed() == 4403
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["ada"]) as inbox:
            await ada.hear("snapshot")
            await inbox.hear("snapshot")
            await sync_to_async(withdraw)()
            assert await ada.wait_closed() == 4403
            assert await inbox.wait_closed() == 4403

    scenario(talk)


def test_only_who_may_use_the_chat_enters_rooms_and_sees_tags(
    people: Any, only_some: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_rules", {})
    rooms.register(Group, type("Open", (rooms.Room,), {"can_see": lambda self, user, obj: True}))
    for name, shown in (("bob", False), ("ada", True)):
        request = RequestFactory().get("/")
        request.user = people[name]
        template = Template("{% load nous_chat %}{% nous_chat_room obj %}")
        group, _ = Group.objects.get_or_create(name="Gardeners")
        page = template.render(Context({"request": request, "obj": group}))
        assert ("<nous-chat" in page) is shown, name


def test_creating_and_forking_need_the_permission(
    client: Client, people: Any, room: Conversation, only_some: None
) -> None:
    AUTHORIZED.add("bob")
    message = post(people["ada"], room, "Hello", ask=False).message
    for name, created, begun in (("ada", 201, 302), ("bob", 403, 403)):
        client.force_login(people[name])
        at = f"/chat/api/conversations/{room.pk}/fork/"
        assert client.post("/chat/api/conversations/", {}, "application/json").status_code == created
        assert client.post(at, {"message": str(message.id)}, "application/json").status_code == created
        assert client.post("/chat/begin/").status_code == begun
    assert store.create_conversation(people["bob"]).title == "", "the site's code may create one for him"


def test_lists_ask_a_set_based_rule_once(people: Any, settings: Any, client: Client) -> None:
    settings.NOUS_CHAT = {"PERMISSIONS": f"{__name__}.Discreet"}
    for title in ("Secret", "Open", "Public"):
        store.create_conversation(people["ada"], title)
    Discreet.asked = 0
    with CaptureQueriesContext(connection) as few:
        found, _ = store.list_conversations(people["ada"].pk)
    assert {each.title for each in found} == {"Open", "Public"}
    assert Discreet.asked == 0
    for number in range(20):
        store.create_conversation(people["ada"], f"Public {number}")
    with CaptureQueriesContext(connection) as many:
        store.list_conversations(people["ada"].pk)
    assert len(many) == len(few)
    assert [store.search_conversations(people["ada"].pk, word, None).results != [] for word in ("secret", "open")] == [
        False,
        True,
    ]
    secret = Conversation.objects.get(title="Secret")
    with refused("not_found"):
        store.list_messages(people["ada"].pk, secret.pk, None, 10)


class Nicknames(Permissions):
    def name(self, user: Any) -> str:
        return f"{user.get_username().title()} L."


def test_people_have_the_names_that_the_site_gives_them(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"PERMISSIONS": f"{__name__}.Nicknames", "MODEL": "demo"}
    Conversation.objects.filter(pk=room.pk).update(answers="off")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            snapshot = await ada.hear("snapshot")
            assert snapshot["you"]["name"] == "Ada L."
            assert {each["user"]["name"] for each in snapshot["participants"]} == {"Ada L.", "Bob L."}
            await ada.say("Hello")
            assert (await ada.hear("message.created"))["message"]["author"]["name"] == "Ada L."

    scenario(talk)
    left = store.remove_participant(people["bob"].pk, room.pk, room.participants.get(user=people["bob"]).pk)
    assert left.notice.text == "Bob L. left."
