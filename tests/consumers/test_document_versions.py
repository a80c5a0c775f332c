"""Documents as a whole over sockets and HTTP: create, rename, delete, restore, name versions, show selections."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.urls import reverse

from chat import ratelimit, store
from chat.actions import documents as actions
from chat.consumers import document_selection
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Document, DocumentUpdate
from chat.protocol.errors import Refused

from ..support.client import InProcess

Scenario = Callable[..., Any]


def test_everybody_hears_what_becomes_of_a_document(scenario: Scenario, people: Any, room: Conversation) -> None:
    ada, bob = people["ada"], people["bob"]

    async def talk() -> None:
        async with InProcess(ada, room.pk) as first, InProcess(bob, room.pk) as second:

            async def do(action: str, **fields: Any) -> dict[str, Any]:
                ref = uuid.uuid4().hex
                await first.send(f"document.{action}", ref=ref, **fields)
                answer = await first.answered(ref)
                assert answer["type"] == "ack", answer
                return answer

            new = {"title": "Plan", "text": "one", "client_id": str(uuid.uuid4())}
            key = (await do("create", **new))["document"]
            assert (await do("create", **new))["document"] == key
            created = await second.hear("document.created")
            assert (created["document"]["id"], created["document"]["created_by"]["name"]) == (key, "ada")
            assert "text" not in created["document"]

            assert (await do("update", document=key, title="Idea", kind="csv"))["document"] == key
            updated = (await second.hear("document.updated"))["document"]
            assert (updated["title"], updated["kind"], updated["version"]) == ("Idea", "csv", 1)

            await do("name", document=key, version=1, name="Draft")
            named = await second.hear("document.named")
            assert (named["document"], named["version"], named["name"]) == (key, 1, "Draft")

            await do("delete", document=key)
            assert (await second.hear("document.deleted"))["document"] == key
            await do("undelete", document=key)
            assert (await second.hear("document.created", 3))["document"]["title"] == "Idea"

    scenario(talk)


def test_a_restored_version_is_a_change_like_any_other(scenario: Scenario, people: Any, room: Conversation) -> None:
    ada, bob = people["ada"], people["bob"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one\ntwo\nthree"))
    key = str(document.id)

    async def talk() -> None:
        async with InProcess(ada, room.pk) as first, InProcess(bob, room.pk) as second:
            await first.send("document.push", ref="1", document=key, version=1, changes=[4, [3, "zwei"], 6, [0, "!"]])
            await second.hear("document.changed")
            await first.send("document.restore", ref="2", document=key, version=1)
            restored = await second.hear("document.changed", 2)
            assert (restored["version"], restored["author"]["name"]) == (3, "ada")
            assert restored["changes"] == [4, [4, "two"], 6, [1]], "only what differs"
            await first.send("document.restore", ref="3", document=key, version=1)
            assert (await first.answered("3"))["type"] == "ack"
            await first.send("document.restore", ref="4", document=key, version=9)
            assert (await first.answered("4"))["code"] == "not_found"
            assert len(first.of_type("document.changed")) == 2
            opened = await sync_to_async(store.get_document)(bob.pk, document.id)
            assert (opened.version, opened.text) == (3, "one\ntwo\nthree")

    scenario(talk)


def test_a_version_is_restored_while_others_type(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = people["ada"], people["bob"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one"))
    read_texts = store.read_texts
    left = [2]

    def then_somebody_types(*args: Any) -> Any:
        found = read_texts(*args)
        if left[0]:
            left[0] -= 1
            changes = ChangeSet.of([(len(found[1]), None), (0, "!")])
            store.push_changes(bob.pk, room.pk, document.id, found[0], changes, None)
        return found

    monkeypatch.setattr(store, "read_texts", then_somebody_types)

    async def talk() -> None:
        async with InProcess(ada, room.pk) as first:
            await first.send("document.restore", ref="1", document=str(document.id), version=0)
            assert (await first.answered("1"))["type"] == "ack"
            left[0] = actions.ATTEMPTS
            await first.send("document.restore", ref="2", document=str(document.id), version=1)
            assert (await first.answered("2"))["code"] == "conflict"

    scenario(talk)
    assert store.get_document_at(ada.pk, document.id, 4).text == ""
    assert left == [0]


def test_others_see_where_somebody_is_until_they_leave(scenario: Scenario, people: Any, room: Conversation) -> None:
    ada, bob = people["ada"], people["bob"]
    first, second = (
        str(store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one")).id) for _ in range(2)
    )

    async def talk() -> None:
        async with InProcess(bob, room.pk) as watching:
            async with InProcess(ada, room.pk) as typing:
                await typing.send("document.select", document=first, version=1, anchor=1, head=3)
                seen = await watching.hear("document.selection")
                assert seen["user"]["name"] == "ada"
                assert [seen[name] for name in ("document", "version", "anchor", "head")] == [first, 1, 1, 3]
                await typing.send("document.select", document=second, version=1, anchor=0, head=0)
                gone, there = await watching.hear("document.selection", 2), await watching.hear("document.selection", 3)
                assert (gone["document"], gone["anchor"]) == (first, None)
                assert (there["document"], there["anchor"]) == (second, 0)
            left = await watching.hear("document.selection", 4)
            assert (left["document"], left["anchor"], left["head"]) == (second, None, None)

            await watching.send("document.select", ref="x", document=str(uuid.uuid4()), version=1, anchor=0, head=0)
            assert (await watching.answered("x"))["code"] == "not_found"
            await watching.send("document.select", ref="y", document=first, version=1, anchor=-1, head=0)
            assert (await watching.answered("y"))["code"] == "invalid"

    scenario(talk)


def test_only_some_of_many_selections_are_published(
    scenario: Scenario, people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 10_000, "COMMAND_BURST": 10_000}
    monkeypatch.setattr(document_selection, "now", lambda: 0.0)  # time stands still
    ada = people["ada"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one"))

    async def talk() -> None:
        async with InProcess(ada, room.pk) as socket:
            for place in range(50):
                at = {"document": str(document.id), "version": 1, "anchor": place, "head": place}
                await socket.send("document.select", ref=str(place), **at)
                assert (await socket.answered(str(place)))["type"] == "ack"
            await socket.send(
                "document.select", ref="end", document=str(document.id), version=1, anchor=None, head=None
            )
            await socket.until(lambda: any(each["anchor"] is None for each in socket.of_type("document.selection")))
            published = document_selection.SelectionBucket.burst
            assert len(socket.of_type("document.selection")) == published + 1

    scenario(talk)


def test_documents_and_their_versions_over_http(people: Any, room: Conversation, db: None) -> None:
    client = Client()
    client.force_login(people["ada"])
    document = store.create_document(people["ada"].pk, room.pk, store.NewDocument("Ta/ble", "csv", text="a\n=1"))
    own = {"conversation_id": room.pk, "document_id": document.id}

    def post(action: str, **body: Any) -> Any:
        answer = client.post(reverse(f"nous_chat:api-document-{action}", kwargs=own), body, "application/json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    def get(name: str, query: str = "") -> Any:
        return client.get(reverse(f"nous_chat:api-document{name}", args=[document.id]) + query)

    post("push", version=1, changes=[4, [0, "", "b"]])
    assert post("name", version=2, name="Second")["document"] == str(document.id)
    (newest,) = get("-versions").json()["versions"]
    assert (newest["version"], newest["since"], newest["name"], newest["agent"]) == (2, 0, "Second", None)
    assert get("-versions", "?until=1").json()["versions"][0]["version"] == 1
    assert get("", "?version=1").json()["text"] == "a\n=1"
    assert get("", "?version=3").status_code == 404
    assert get("", "?version=x").status_code == get("", "?version=").status_code == 400
    blamed = get("-blame").json()
    assert (blamed["version"], blamed["since"]) == (2, 0)
    assert [(each["first"], each["count"], each["version"]) for each in blamed["lines"]] == [(1, 3, 2)]
    post("restore", version=1)
    assert get("").json()["text"] == "a\n=1"
    file = get("-download", "?version=2")
    assert file.content == b"a\n'=1\nb"
    assert file["Content-Type"] == "text/csv; charset=utf-8"
    assert file["Content-Disposition"] == 'attachment; filename="Ta ble.csv"'
    assert file["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in file["Content-Security-Policy"]
    address = reverse("nous_chat:api-document-in", kwargs=own)
    assert client.patch(address, {"title": "Table"}, "application/json").status_code == 200
    assert get("").json()["title"] == "Table"
    assert client.delete(address).status_code == 200
    assert get("").status_code == 404
    post("undelete")
    assert get("").status_code == 200


def test_two_people_restore_at_once_and_end_with_the_same_text(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    ada, bob = people["ada"], people["bob"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one"))

    async def talk() -> None:
        async with InProcess(ada, room.pk) as first, InProcess(bob, room.pk) as second:
            sent = {"document": str(document.id), "ref": "1"}
            await asyncio.gather(
                first.send("document.restore", version=0, **sent), second.send("document.restore", version=1, **sent)
            )
            assert [(await peer.answered("1"))["type"] for peer in (first, second)] == ["ack", "ack"]

    scenario(talk)
    opened = store.get_document(ada.pk, document.id)
    log = store.list_updates(ada.pk, document.id, 0).updates
    text = ""
    for update in log:
        text = ChangeSet.parse(update.changes).apply(text)
    assert text == opened.text
    assert opened.text in ("", "one")


@pytest.mark.parametrize(
    ("ask", "answered"),
    [
        (lambda client, own: client.get(reverse("nous_chat:api-document", args=[own["document_id"]])), 10),
        (
            lambda client, own: client.get(reverse("nous_chat:api-document", args=[own["document_id"]]) + "?version=1"),
            3,
        ),
        (lambda client, own: client.get(reverse("nous_chat:api-document-download", args=[own["document_id"]])), 3),
        (lambda client, own: client.get(reverse("nous_chat:api-document-blame", args=[own["document_id"]])), 1),
        (
            lambda client, own: client.post(
                reverse("nous_chat:api-document-restore", kwargs=own), {"version": 1}, "application/json"
            ),
            1,
        ),
    ],
    ids=["newest", "old", "download", "blame", "restore"],
)
def test_a_request_is_charged_by_how_many_changes_it_looks_at(
    people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch, ask: Any, answered: int, db: None
) -> None:
    """Else one reader of a long log takes the whole processor from everybody."""
    settings.NOUS_CHAT = {"COMMAND_RATE": 0.001, "COMMAND_BURST": 10}
    monkeypatch.setattr(ratelimit, "_requests", ratelimit.Buckets(ratelimit.Bucket))
    document = store.create_document(people["ada"].pk, room.pk, store.NewDocument("Plan", text="one"))
    DocumentUpdate.objects.bulk_create(
        DocumentUpdate(document_id=document.id, version=version, changes=[3]) for version in range(2, 2001)
    )
    Document.objects.update(version=2000)
    client = Client()
    client.force_login(people["ada"])
    answers = [ask(client, {"conversation_id": room.pk, "document_id": document.id}).status_code for _ in range(12)]
    assert answers == [200] * answered + [429] * (12 - answered)


def test_of_requests_at_once_only_one_begins_while_an_earlier_one_is_owed(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 0.001, "COMMAND_BURST": 10}
    monkeypatch.setattr(ratelimit, "_requests", ratelimit.Buckets(ratelimit.Bucket))
    for _ in range(3):
        ratelimit.check("ada")  # three are let in at the same moment
    ratelimit.spend("ada", 50)
    for _ in range(2):
        with pytest.raises(Refused, match="Too many"):
            ratelimit.spend("ada", 50)


def test_restores_on_a_socket_are_charged_by_what_they_cost(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 0.001, "COMMAND_BURST": 20}
    document = store.create_document(people["ada"].pk, room.pk, store.NewDocument("Plan", text="one"))

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as socket:
            for ref, answer in (("1", "ack"), ("2", "error")):
                await socket.send("document.restore", document=str(document.id), version=0, ref=ref)
                assert (await socket.answered(ref))["type"] == answer

    scenario(talk)
