"""Rooms of objects: made once, entered and left by the site's rule, and deleted or kept with the object."""

import threading
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, Group
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import timezone

from chat import agents, rooms, store
from chat.actions import rooms as actions
from chat.conf import AgentConf
from chat.engine import ToolContext
from chat.models import Conversation, Participant
from chat.protocol.errors import Refused

from ..support.client import InProcess
from ..support.store_helpers import begin, post, refused

Scenario = Callable[..., Any]

pytestmark = pytest.mark.django_db


def look_up(context: ToolContext, order: int) -> str:
    """Look something of the group up."""
    return f"{context.object.name} {order}"


class GroupRoom(rooms.Room):
    """Who may see it and write in it is what a test says."""

    seeing: ClassVar[set[Any]] = set()
    posting: ClassVar[set[Any]] = set()
    tools = (look_up,)

    def can_see(self, user: Any, obj: Any) -> bool:
        return user.pk in self.seeing

    def can_post(self, user: Any, obj: Any) -> bool:
        return user.pk in self.posting

    def url(self, obj: Any) -> str:
        return f"/groups/{obj.pk}/"

    def instructions(self, obj: Any) -> str:
        return f"You talk with {obj.name}."


class SessionRoom(rooms.Room):
    listed = True
    on_delete = "keep"

    def can_see(self, user: Any, obj: Any) -> bool:
        return True

    def title(self, obj: Any) -> str:
        return "  A\nsession "


@pytest.fixture(autouse=True)
def rules(people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_rules", {})
    rooms.register(Group, GroupRoom)
    rooms.register(Session, SessionRoom)
    GroupRoom.seeing, GroupRoom.posting = {people["ada"].pk, people["bob"].pk}, {people["ada"].pk}


@pytest.fixture
def group() -> Group:
    return Group.objects.create(name="Gardeners")


def enter(user: Any, obj: Any) -> Conversation:
    room = actions.enter(user, obj)
    assert room is not None
    return Conversation.objects.get(pk=room)


def role(user: Any, room: Conversation) -> str | None:
    row = Participant.objects.filter(conversation=room, user=user).first()
    return row.role if row else None


def test_the_first_who_may_see_it_makes_it_and_others_find_it(people: Any, group: Group) -> None:
    assert actions.enter(people["eve"], group) is None
    assert actions.enter(AnonymousUser(), group) is None
    assert not Conversation.objects.exists(), "nothing is made for those who may not see it"
    room = enter(people["ada"], group)
    assert enter(people["bob"], group) == room
    assert actions.enter(people["eve"], group) is None
    assert (room.title, room.object_url, room.object) == ("Gardeners", f"/groups/{group.pk}/", group)
    assert [role(people[name], room) for name in ("ada", "bob", "eve")] == ["member", "viewer", None]
    with refused("forbidden"):
        post(people["bob"], room)
    post(people["ada"], room)


def test_a_key_can_be_a_text(people: Any) -> None:
    session = Session.objects.create(session_key="a'b%", expire_date=timezone.now())
    room = enter(people["eve"], session)
    assert enter(people["ada"], Session.objects.get()) == room
    assert (room.title, room.object) == ("A session", session)


def test_an_object_without_a_rule_or_without_a_key_has_no_room(people: Any) -> None:
    with pytest.raises(LookupError, match="has no rooms"):
        actions.enter(people["ada"], people["bob"])
    with pytest.raises(ValueError, match="primary key"):
        actions.enter(people["ada"], Group(name="New"))


def test_what_it_shows_follows_the_object(people: Any, group: Group) -> None:
    room = enter(people["ada"], group)
    group.name = "Cooks"
    group.save()
    store.reenter_room(people["ada"].pk, room.pk)
    room.refresh_from_db()
    assert room.title == "Cooks"


def test_a_rule_that_fails_lets_nobody_in(people: Any, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    room = enter(people["ada"], group)
    monkeypatch.setattr(GroupRoom, "can_see", lambda self, user, obj: 1 / 0)
    assert actions.enter(people["ada"], group) is None
    assert role(people["ada"], room) is None


def test_an_inactive_user_does_not_enter(people: Any, group: Group) -> None:
    people["ada"].is_active = False
    people["ada"].save()
    assert actions.enter(people["ada"], group) is None


def test_opening_it_again_gives_the_role_that_the_rule_says_now(people: Any, group: Group) -> None:
    room = enter(people["ada"], group)
    enter(people["bob"], group)
    GroupRoom.posting, GroupRoom.seeing = {people["bob"].pk}, {people["bob"].pk}
    actions.reenter(people["ada"].pk, room.pk)
    actions.reenter(people["bob"].pk, room.pk)
    assert [role(people[name], room) for name in ("ada", "bob")] == [None, "member"]
    actions.reenter(people["ada"].pk, uuid.uuid4())  # no conversation at all


def test_a_recheck_takes_out_of_every_room_whom_its_rule_no_longer_lets_in(people: Any) -> None:
    groups = [Group.objects.create(name=name) for name in ("one", "two")]
    inside = [enter(people["ada"], group) for group in groups]
    actions.recheck(people["ada"])
    assert [role(people["ada"], room) for room in inside] == ["member", "member"]
    GroupRoom.seeing = set()
    actions.recheck(people["ada"])
    assert [role(people["ada"], room) for room in inside] == [None, None]


def test_nobody_owns_a_room(people: Any, group: Group) -> None:
    room = enter(people["ada"], group)
    enter(people["bob"], group)
    Participant.objects.filter(conversation=room, user=people["bob"]).delete()
    assert role(people["ada"], room) == "member"
    with refused("forbidden"):
        store.delete_conversation(people["ada"].pk, room.pk)
    with refused("forbidden"):
        store.add_participant(people["ada"].pk, room.pk, "eve", "member")


def test_only_a_listed_room_is_in_lists_and_search_results(people: Any, group: Group) -> None:
    session = Session.objects.create(session_key="s", expire_date=timezone.now())
    hidden, listed = enter(people["ada"], group), enter(people["ada"], session)
    post(people["ada"], hidden, "rhubarb")
    post(people["ada"], listed, "rhubarb")
    found, _ = store.list_conversations(people["ada"].pk)
    assert [each.id for each in found] == [listed.pk]
    results = store.search_conversations(people["ada"].pk, "rhubarb", None).results
    assert {each.conversation.id for each in results} == {listed.pk}
    audiences = store.find_listings([hidden.pk, listed.pk])
    assert [each and list(each.audience) for each in audiences] == [[], [people["ada"].pk]]


def test_a_room_is_deleted_with_its_object(people: Any, group: Group) -> None:
    room = enter(people["ada"], group)
    key = group.pk
    group.delete()
    room.refresh_from_db()
    assert room.deleted_at is not None
    with pytest.raises(Refused):
        store.get_conversation(people["ada"].pk, room.pk)
    again = Group.objects.create(pk=key, name="Others")
    assert enter(people["ada"], again) != room, "a new object with the same key gets a room of its own"


def test_a_room_can_be_kept_as_a_conversation(people: Any) -> None:
    session = Session.objects.create(session_key="s", expire_date=timezone.now())
    room = enter(people["ada"], session)
    Session.objects.all().delete()
    assert store.get_conversation(people["ada"].pk, room.pk).object_url == ""
    again = Session.objects.create(session_key="s", expire_date=timezone.now())
    assert enter(people["ada"], again) != room
    actions.recheck(people["ada"])
    assert role(people["ada"], room) == "member", "no rule applies to it any more"


def test_deleting_an_object_without_a_room_or_in_a_transaction_that_fails_changes_nothing(
    people: Any, group: Group
) -> None:
    Group.objects.create(name="Quiet").delete()
    room = enter(people["ada"], group)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        group.delete()
        1 / 0  # noqa: B018
    room.refresh_from_db()
    assert room.deleted_at is None


def test_the_agent_gets_the_object_its_instructions_and_tools(people: Any, group: Group) -> None:
    started = begin(people["ada"], enter(people["ada"], group))
    assert started.room is not None
    assert (started.room.object, started.room.instructions) == (group, "You talk with Gardeners.")
    built: Any = agents.build(AgentConf(model="demo", instructions="Be brief."), "You talk with Gardeners.", (look_up,))
    assert built.instructions == "Be brief.\n\nYou talk with Gardeners."
    assert [each.name for each in built.tools] == ["look_up"]


def test_a_tool_reads_the_object(scenario: Scenario, people: Any, group: Group, model: Any) -> None:
    model("calls@n=1")
    room = enter(people["ada"], group)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Which group is this?")
            call = (await ada.hear("run.finished"))["message"]["calls"][0]
            assert (call["name"], call["result"]) == ("look_up", "Gardeners 0")

    scenario(talk)


def test_a_socket_enters_and_is_closed_when_the_rule_says_no(
    scenario: Scenario, people: Any, group: Group, django_capture_on_commit_callbacks: Any
) -> None:
    room = enter(people["ada"], group)

    def recheck_bob() -> None:
        with django_capture_on_commit_callbacks(execute=True):
            actions.recheck(people["bob"])

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["eve"], room.pk) as eve:
            assert await eve.wait_closed() == 4404
            snapshot = await ada.hear("snapshot")
            assert snapshot["conversation"]["object_url"] == f"/groups/{group.pk}/"
            async with InProcess(people["bob"], room.pk) as bob:  # he has only the address
                await bob.hear("snapshot")
                assert (await ada.hear("participant.joined"))["participant"]["user"]["name"] == "bob"
                GroupRoom.seeing = {people["ada"].pk}
                await sync_to_async(recheck_bob)()
                assert await bob.wait_closed() == 4403
                assert (await ada.hear("participant.left"))["participant"]["user"]["name"] == "bob"

    scenario(talk)


def test_a_socket_that_rechecks_by_itself_asks_the_rule(people: Any, group: Group) -> None:
    room = enter(people["ada"], group)
    assert store.check_access(people["ada"].pk, room.pk, None).role == "member"
    GroupRoom.seeing = set()
    assert store.check_access(people["ada"].pk, room.pk, None).role is None
    assert role(people["ada"], room) is None


def test_the_page_asks_the_rule(client: Client, people: Any, group: Group) -> None:
    room = enter(people["ada"], group)
    client.force_login(people["bob"])
    page = client.get(f"/chat/{room.pk}/")
    assert f'<h1><a href="/groups/{group.pk}/">Gardeners</a></h1>' in page.content.decode()
    GroupRoom.seeing = set()
    assert client.get(f"/chat/{room.pk}/").status_code == 404


def render(template: str, user: Any, **context: Any) -> str:
    request = RequestFactory().get("/somewhere/")
    request.user = user
    return Template("{% load nous_chat %}" + template).render(Context(context | {"request": request})).strip()


def test_the_tags_show_the_room_or_nothing(people: Any, group: Group) -> None:
    shown = render("{% nous_chat_room obj %}", people["ada"], obj=group)
    room = Conversation.objects.get()
    assert f'conversation="{room.pk}"' in shown
    button = render("{% nous_chat_button obj 'Ask' %}", people["bob"], obj=group)
    assert f'href="/chat/{room.pk}/">Ask</a>' in button
    for template in ("{% nous_chat_room obj %}", "{% nous_chat_button obj %}"):
        assert render(template, people["eve"], obj=group) == ""
        assert render(template, AnonymousUser(), obj=group) == ""


def test_the_tags_take_what_create_conversation_returns(people: Any) -> None:
    created = store.create_conversation(people["ada"], "Ours")
    for template in ("{% nous_chat made %}", "{% nous_chat_button made %}"):
        assert f'conversation="{created.id}"' in render(template, people["ada"], made=created)
    assert render("{% nous_chat_button made %}", people["eve"], made=created) == ""


def test_a_full_room_says_so(people: Any, group: Group, settings: Any) -> None:
    settings.NOUS_CHAT = {"MAX_PARTICIPANTS": 1}
    enter(people["ada"], group)
    assert "up to 1 people" in render("{% nous_chat_room obj %}", people["bob"], obj=group)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer: the second one waits")
@pytest.mark.usefixtures("patient_locks")
@pytest.mark.django_db(transaction=True)
def test_two_who_come_at_once_get_one_room(people: Any) -> None:
    group = Group.objects.create(name="Runners")
    found: list[Any] = []
    together = threading.Barrier(2)

    def come(name: str) -> None:
        together.wait()
        try:
            found.append(actions.enter(people[name], group))
        finally:
            connection.close()

    threads = [threading.Thread(target=come, args=[name]) for name in ("ada", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1, found
    assert Conversation.objects.count() == 1
    assert Participant.objects.count() == 2
