"""Documents that are a text field of the site's own object."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import models
from django.shortcuts import get_object_or_404

import chat as nous_chat
from chat import rooms, store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Document, Passage
from chat.node import heartbeat
from chat.protocol import objects
from chat.store import document_settling

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, refused

pytestmark = pytest.mark.django_db


class GroupRoom(rooms.Room):
    documents = {"name": "markdown"}

    def can_see(self, user: Any, obj: Any) -> bool:
        return True


@pytest.fixture(autouse=True)
def rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_rules", {})
    monkeypatch.setattr(document_settling, "QUIET", timedelta(seconds=-1))
    rooms.register(Group, GroupRoom)


@pytest.fixture
def group() -> Group:
    return Group.objects.create(name="one two")


def write(user: Any, document: objects.Document, changes: list[Any]) -> None:
    version = store.get_document(user.pk, document.id).version
    store.push_changes(user.pk, document.conversation, document.id, version, ChangeSet.parse(changes), None)


def save_all() -> None:
    while (found := store.find_unsettled_document()) is not None:
        assert found.is_field
        store.save_field(found.id)


@pytest.fixture
def document(people: Any, group: Group) -> objects.Document:
    store.enter_room(people["ada"], group)
    return nous_chat.document_for(group, "name")


def test_what_people_write_is_saved_in_the_field(people: Any, group: Group, document: objects.Document) -> None:
    assert (document.title, document.kind, document.version) == ("Name", "markdown", 1)
    assert nous_chat.document_for(group, "name") == document
    write(people["ada"], document, [7, [0, " three"]])
    group.refresh_from_db()
    assert group.name == "one two", "not with each key"
    save_all()
    group.refresh_from_db()
    assert group.name == "one two three"
    assert store.find_unsettled_document() is None
    assert Passage.objects.get(document=document.id).text == "name one two three"


def test_what_the_site_writes_in_the_field_becomes_a_change(
    people: Any, group: Group, document: objects.Document
) -> None:
    ada = people["ada"]
    group.name = "one 2\r\nthree"
    group.save()
    opened = nous_chat.document_for(group, "name", ada)
    assert (opened.id, opened.version) == (document.id, 2)
    assert store.get_document(ada.pk, document.id).text == "one 2\nthree"
    (newest, _) = reversed(store.list_updates(ada.pk, document.id, 0).updates)
    assert newest.author is not None
    assert newest.author.name == "ada"
    assert nous_chat.document_for(group, "name").version == 2


def test_what_people_and_the_site_write_at_the_same_time_is_all_kept(
    people: Any, group: Group, document: objects.Document
) -> None:
    ada = people["ada"]
    write(ada, document, [[0, "zero "], 7])
    Group.objects.update(name="one two\nthree")
    group.refresh_from_db()
    assert nous_chat.document_for(group, "name").version == 2, "it is merged when nobody has written for a moment"
    pushed = store.save_field(document.id)
    assert pushed is not None
    assert (pushed.update.author, pushed.update.run) == (None, None)
    group.refresh_from_db()
    assert group.name == store.get_document(ada.pk, document.id).text == "zero one two\nthree"
    assert store.save_field(document.id) is None
    assert store.get_document(ada.pk, document.id).version == 3


def test_a_field_that_was_saved_before_the_process_died_is_not_taken_for_a_change(
    people: Any, group: Group, document: objects.Document
) -> None:
    write(people["ada"], document, [7, [0, "!"]])
    Group.objects.update(name="one two!")
    assert store.save_field(document.id) is None
    assert store.get_document(people["ada"].pk, document.id).version == 2


def test_a_new_title_does_not_make_the_site_a_writer(people: Any, group: Group, document: objects.Document) -> None:
    ada = people["ada"]
    write(ada, document, [7, [0, "!"]])
    save_all()
    store.change_document(ada.pk, document.conversation, document.id, store.DocumentChanges("Title"))
    write(ada, document, [8, [0, "?"]])
    save_all()
    group.refresh_from_db()
    assert group.name == store.get_document(ada.pk, document.id).text == "one two!?"


def test_an_empty_field_and_one_that_was_deleted(people: Any, document: objects.Document, group: Group) -> None:
    ada = people["ada"]
    empty = Group.objects.create(name="")
    store.enter_room(ada, empty)
    first = nous_chat.document_for(empty, "name")
    assert first.version == 0
    write(ada, first, [[0, "a"]])
    save_all()
    empty.refresh_from_db()
    assert empty.name == "a"
    store.enter_room(people["bob"], group)
    Document.objects.update(deleted_at=document.created_at)
    assert nous_chat.document_for(group, "name").id == document.id
    assert store.get_document(ada.pk, document.id).text == "one two"


def test_only_the_fields_that_the_rule_names_have_documents(group: Group, people: Any) -> None:
    with pytest.raises(LookupError, match=r"documents has no 'id'"):
        nous_chat.document_for(group, "id")
    with pytest.raises(LookupError, match="User has no rooms"):
        nous_chat.document_for(people["ada"], "username")


def test_an_agent_that_is_writing_is_not_disturbed(people: Any, group: Group, document: objects.Document) -> None:
    ada = people["ada"]
    room = Conversation.objects.get(pk=document.conversation)
    started = begin(ada, room, "@assistant Write")
    assert started.message.run is not None
    store.begin_writing(started.message.run.id, HOST, document.id, 1, (0, 7), "new")
    Group.objects.update(name="one three")
    with refused("conflict"):
        store.save_field(document.id)
    assert Group.objects.get().name == "one three"


def test_what_is_gone_is_not_saved(people: Any, group: Group, document: objects.Document) -> None:
    write(people["ada"], document, [7, [0, "!"]])
    unsettled = store.find_unsettled_document()
    assert unsettled is not None
    assert store.find_unsettled_document([document.id]) is None
    Group.objects.all()._raw_delete("default")
    assert store.save_field(document.id) is None


def test_a_process_saves_fields_by_the_way_and_tells_what_the_site_has_changed(
    scenario: Callable[..., Any],
    people: Any,
    group: Group,
    document: objects.Document,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(heartbeat, "SETTLE_EVERY", 0.0)
    ada = people["ada"]
    other = Group.objects.create(name="other")
    store.enter_room(ada, other)
    failing = nous_chat.document_for(other, "name")
    write(ada, failing, [5, [0, "!"]])
    write(ada, document, [7, [0, "!"]])
    Group.objects.filter(pk=group.pk).update(name="zero one two")

    def fail(instance: Any, **_: Any) -> None:
        if instance.pk == other.pk:
            raise ValueError("not today")

    models.signals.pre_save.connect(fail, sender=Group)

    async def talk() -> None:
        async with InProcess(ada, document.conversation) as socket:
            changed = await socket.hear("document.changed")
            assert (changed["version"], changed["author"], changed["changes"]) == (3, None, [[0, "zero "], 8])
            async with asyncio.timeout(60):
                while "not today" not in caplog.text:
                    await asyncio.sleep(0)

    try:
        scenario(talk)
    finally:
        models.signals.pre_save.disconnect(fail, sender=Group)
    assert sorted(Group.objects.values_list("name", flat=True)) == ["other", "zero one two!"]


def test_the_docs_show_how(people: Any, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their model is `Article`, with the field `body`; here it is the group, with its name."""
    monkeypatch.setattr(rooms, "_rules", {})
    page = (Path(__file__).parents[2] / "docs" / "documents.md").read_text("utf-8")
    found = re.search(r"## A field of your own object\n.*?```python\n(.*?)```.*?```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    ada = people["ada"]
    ada.is_superuser = True
    ada.save()
    own: dict[str, Any] = {"Article": Group, "get_object_or_404": get_object_or_404, "render": lambda *args: args}
    for snippet in found.groups():
        exec(snippet.replace("nous_chat", "chat").replace('"body"', '"name"'), own)
    _, template, context = own["edit"](SimpleNamespace(user=ada), group.pk)
    assert (template, context) == ("news/edit.html", {"article": group})
    opened = store.enter_room(ada, group)
    assert opened is not None
    assert [each.title for each in store.list_documents(ada.pk, opened.id)] == ["Name"]
