"""The page without JavaScript, as HTML."""

import html
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chat import store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Run
from chat.protocol import objects
from chat.runs.document_tools import PROPOSED, UNDECIDED

from ..support.store_helpers import HOST, begin, end


def test_text_and_calls_of_an_answer_are_in_order(client: Client, people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room, "Where is it?")
    assert started.message.run is not None
    call = objects.Call(id=uuid.uuid4(), name="look_up", arguments={}, status="done", result="found")
    store.save_calls(started.message.run.id, HOST, {"c1": call})
    parts = (objects.TextPart(7), objects.CallPart(call.id), objects.TextPart(14))
    end(started, written=store.Written(3, "I look.\n\nShipped. <b>", "", parts))
    client.force_login(people["ada"])
    page = client.get(f"/chat/{room.pk}/").content.decode()
    shown = re.findall(r'<p class="(?:text|call)">(.*?)</p>', page, re.DOTALL)
    assert shown == ["Where is it?", "I look.", "Used look_up", "Shipped. &lt;b&gt;"]


def test_what_an_agent_did_with_documents_is_said_as_on_the_other_page(
    client: Client, people: Any, room: Conversation
) -> None:
    started = begin(people["ada"], room, "Write")
    assert started.message.run is not None
    results = {
        "create_document": ("done", "Created it."),
        "edit_document": ("done", f"{PROPOSED} 1 of 1 edits. {UNDECIDED}"),
        "rewrite_document": ("failed", "No such document."),
        "read_document": ("rejected", ""),
    }
    calls = [
        objects.Call(id=uuid.uuid4(), name=name, arguments={}, status=status, result=result)
        for name, (status, result) in results.items()
    ]
    store.save_calls(started.message.run.id, HOST, {str(number): call for number, call in enumerate(calls)})
    end(started, written=store.Written(3, "", "", tuple(objects.CallPart(call.id) for call in calls)))
    client.force_login(people["ada"])
    page = client.get(f"/chat/{room.pk}/").content.decode()
    assert re.findall(r'<p class="call">(.*?)</p>', page) == [
        "Created a document",
        "Proposed changes to a document",
        "Rewriting a document failed",
        "Reading a document rejected",
    ]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (objects.Failure("rate_limited", "The model is busy.", 30.0), "The model is busy. Try again in 30 seconds."),
        (objects.Failure("rate_limited", "The model is busy.", 601.0), "The model is busy. Try again in 11 minutes."),
        (objects.Failure("rate_limited", "The model is busy.", -1.0), "The model is busy."),
        (objects.Failure("unavailable", "Try again in a moment.", 30.0), "Try again in a moment."),
    ],
)
def test_a_failure_says_when_to_try_again(
    client: Client, people: Any, room: Conversation, error: objects.Failure, sentence: str
) -> None:
    started = begin(people["ada"], room, "Write")
    finished_at = timezone.now() + timedelta(hours=1)  # a clock ahead: no second passes between the end and the page
    end(started, status="failed", error=error)
    Run.objects.update(finished_at=finished_at)
    client.force_login(people["ada"])
    page = client.get(f"/chat/{room.pk}/").content.decode()
    assert re.findall(r'<p class="problem">(.*?)</p>', page) == [sentence]


def test_a_text_that_takes_long_to_lay_out_is_shown_in_pieces(client: Client, people: Any, room: Conversation) -> None:
    """The page with JavaScript lays it out as well, until its script has loaded."""
    started = begin(people["ada"], room, "a" + "\u0301" * 1000)
    end(started, written=store.Written(1, "<b> " * 5000, "", (objects.TextPart(20_000),)))
    client.force_login(people["ada"])
    page = client.get(f"/chat/{room.pk}/").content.decode()
    question, answer = re.findall(r'<p class="text">(.*?)</p>', page, re.DOTALL)
    assert question == "a" + "\u0301" * 30
    pieces = re.findall(r'<span class="piece">(.*?)</span>', answer)
    assert len(pieces) > 4
    assert "".join(pieces) == "&lt;b&gt; " * 5000


def test_a_document_is_read_and_changed_with_a_form(client: Client, people: Any, room: Conversation) -> None:
    ada, bob = people["ada"], people["bob"]
    text = "\n# Plan\n\n<b>one</b>\r\ntwo 😀"
    document = store.create_document(ada.pk, room.pk, store.NewDocument("The <Plan>", text=text))
    client.force_login(ada)
    assert f'href="/chat/{room.pk}/documents/"' in client.get(f"/chat/{room.pk}/").content.decode()
    listed = client.get(f"/chat/{room.pk}/documents/").content.decode()
    address = f"/chat/{room.pk}/documents/{document.id}/"
    assert f'<a href="{address}"><bdi>The &lt;Plan&gt;</bdi></a>' in listed

    page = client.get(address).content.decode()
    assert typed_in(page) == store.get_document(ada.pk, document.id).text
    assert client.post(address, {"version": "1", "text": typed_in(page).replace("\n", "\r\n")}).status_code == 302
    assert store.get_document(ada.pk, document.id).version == 1, "a form that is sent as it is changes nothing"

    saved = client.post(address, {"version": "1", "text": typed_in(page).replace("one", "1")}, follow=True)
    assert "Saved." in saved.content.decode()
    assert store.get_document(ada.pk, document.id).text == "\n# Plan\n\n<b>1</b>\ntwo 😀"

    client.force_login(bob)  # who has opened it before
    merged = client.post(address, {"version": "1", "text": typed_in(page) + "!"}, follow=True)
    assert "together with what others have changed" in merged.content.decode()
    opened = store.get_document(ada.pk, document.id)
    assert (opened.version, opened.text) == (3, "\n# Plan\n\n<b>1</b>\ntwo 😀!")


def typed_in(page: str) -> str:
    """What a browser shows in the form: the first line break does not count."""
    found = re.search(r"<textarea [^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


def test_what_cannot_be_saved_stays_in_the_form(
    client: Client, people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = people["ada"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one"))
    store.push_changes(ada.pk, room.pk, document.id, 1, ChangeSet.parse([3, [0, " two"]]), None)
    address = f"/chat/{room.pk}/documents/{document.id}/"
    client.force_login(ada)

    def refused_with(status: int, sentence: str, **form: str) -> None:
        answer = client.post(address, {"version": "1", "text": "<i>mine</i>"} | form)
        assert answer.status_code == status
        page = answer.content.decode()
        assert sentence in page
        assert typed_in(page) == "<i>mine</i>"
        assert "one two</p>" in page, "and the document as it is now"

    settings.NOUS_CHAT = {"MAX_DOCUMENT_CHARS": 5}
    refused_with(413, "up to 5 characters")
    settings.NOUS_CHAT = {}
    refused_with(400, "This form is incomplete", version="x")
    monkeypatch.setattr("chat.store.document_versions.MAX_CHANGES_SINCE", 0)
    refused_with(409, "has changed too much")
    assert client.post(address, {"version": "9", "text": "x"}).status_code == 404
    assert store.get_document(ada.pk, document.id).version == 2


@pytest.mark.parametrize("text", ["x" * 32_001, "a" + "\u0301" * 1000])
def test_a_text_that_no_form_can_hold_is_only_shown(client: Client, people: Any, room: Conversation, text: str) -> None:
    document = store.create_document(people["ada"].pk, room.pk, store.NewDocument("Plan", text=text))
    client.force_login(people["ada"])
    page = client.get(f"/chat/{room.pk}/documents/{document.id}/").content.decode()
    assert "can only be changed with JavaScript" in page
    assert "<textarea" not in page
    assert "\u0301" * 31 not in page


def test_a_document_is_shown_only_in_its_own_conversation(client: Client, people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one"))
    other = store.create_conversation(ada)
    client.force_login(ada)
    assert client.get(f"/chat/{other.id}/documents/{document.id}/").status_code == 404
    assert client.post(f"/chat/{other.id}/documents/{document.id}/", {"version": "1", "text": "x"}).status_code == 404
