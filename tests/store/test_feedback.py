"""Feedback: a reader's opinion of an answer, over HTTP, in the admin, and for the site's code."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from chat import signals, store
from chat.models import Conversation, Feedback, Message, Participant

from ..support.store_helpers import begin, end


@pytest.fixture
def answer(people: dict[str, Any]) -> Message:
    room = Conversation.objects.get(pk=store.create_conversation(people["ada"], "Plans").id)
    Participant.objects.create(conversation=room, user=people["bob"], role="viewer")
    end(begin(people["ada"], room))
    return Message.objects.get(role="assistant")


def send(user: Any, message: Message, method: str, **fields: Any) -> Any:
    client = Client()
    client.force_login(user)
    url = reverse("nous_chat:api-feedback", args=[message.conversation_id, message.pk])
    return client.generic(method, url, json.dumps(fields), content_type="application/json")


def test_a_reader_rates_changes_their_mind_and_withdraws(people: Any, answer: Message) -> None:
    assert send(people["bob"], answer, "GET").json() == {"feedback": None}
    assert send(people["bob"], answer, "PUT", rating="bad", comment=" Too long ").json()["rating"] == "bad"
    assert send(people["bob"], answer, "GET").json()["feedback"]["comment"] == "Too long"
    assert send(people["ada"], answer, "GET").json() == {"feedback": None}, "it is bob's"
    send(people["bob"], answer, "PUT", rating="good")
    assert [(row.rating, row.comment) for row in Feedback.objects.all()] == [("good", "")]
    assert send(people["bob"], answer, "DELETE").status_code == 204
    assert not Feedback.objects.exists()


@pytest.mark.parametrize("fields", [{"rating": "fine"}, {}, {"rating": "good", "comment": "x" * 2001}])
def test_what_is_no_feedback_is_refused(people: Any, answer: Message, fields: Any) -> None:
    assert send(people["bob"], answer, "PUT", **fields).status_code == 400
    assert not Feedback.objects.exists()


def test_only_answers_that_are_there_are_rated(people: Any, answer: Message) -> None:
    question = Message.objects.get(role="user")
    assert send(people["bob"], question, "PUT", rating="good").status_code == 409
    assert send(people["bob"], question, "GET").json()["feedback"] is None
    store.delete_message(people["ada"].pk, answer.conversation_id, answer.pk)
    assert send(people["bob"], answer, "PUT", rating="good").status_code == 404


def test_the_sites_code_hears_of_it(people: Any, answer: Message) -> None:
    heard: list[Any] = []

    def hear(message: Any, feedback: Any, user: Any, **_: Any) -> None:
        heard.append((message.id, feedback.rating, feedback.comment, user.name))

    signals.feedback_given.connect(hear)
    try:
        send(people["bob"], answer, "PUT", rating="bad", comment="Wrong")
    finally:
        signals.feedback_given.disconnect(hear)
    assert heard == [(answer.pk, "bad", "Wrong", "bob")]


def test_erasing_an_answer_erases_the_comments(people: Any, answer: Message) -> None:
    send(people["bob"], answer, "PUT", rating="bad", comment="Wrong")
    store.delete_message(people["ada"].pk, answer.conversation_id, answer.pk)
    Message.objects.filter(pk=answer.pk).update(deleted_at="2020-01-01T00:00Z")
    for _erased in range(10):
        if not Feedback.objects.exclude(comment="").exists():
            break
        store.erase_expired()
    assert Feedback.objects.get().comment == ""


def test_staff_see_it_in_the_transcript_as_a_filter_and_as_a_chart(
    admin_client: Client, people: Any, answer: Message
) -> None:
    runs = reverse("admin:nous_chat_run_changelist")
    assert "Feedback</" not in admin_client.get(runs).content.decode()
    send(people["bob"], answer, "PUT", rating="bad", comment="<b>Wrong</b>")
    transcript = reverse("admin:nous_chat_conversation_transcript", args=[answer.conversation_id])
    page = admin_client.get(transcript).content.decode()
    assert "&lt;b&gt;Wrong" in page
    assert 'data-rating="bad"' in page
    assert 'aria-label="Feedback"' in admin_client.get(runs).content.decode()
    for name in ("run", "conversation"):
        url = reverse(f"admin:nous_chat_{name}_changelist")
        found = [len(admin_client.get(url, {"feedback": each}).context["cl"].result_list) for each in ("good", "bad")]
        assert found == [0, 1], name
    assert "Wrong" not in admin_client.get(runs).content.decode(), "the comment is content"
