"""Messages edited, sent again, deleted and restored, and what is made from their text."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chat import store
from chat.models import Conversation, Edit, Message, Participant, Run
from chat.protocol import objects

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, end, post, refused

Scenario = Callable[..., Any]


def edit(user: Any, room: Conversation, message: objects.Message, text: str, *, resend: bool = False) -> store.Edited:
    return store.edit_message(user.pk, room.pk, message.id, text, resend, HOST)


def shown(user: Any, room: Conversation) -> list[str]:
    return [message.text for message in store.list_messages(user.pk, room.pk, None, 50)[0]]


def test_an_edit_keeps_the_earlier_text(people: Any, room: Conversation) -> None:
    message = post(people["ada"], room, "One").message
    edited = edit(people["ada"], room, message, "Two")
    edit(people["ada"], room, message, "Three")
    edit(people["ada"], room, message, "Three")

    assert (edited.message.text, edited.start, edited.hidden) == ("Two", None, [])
    assert edited.message.edited_at is not None
    history = store.list_edits(people["bob"].pk, room.pk, message.id)
    assert [(each.text, each.edited_by) for each in history] == [
        ("One", objects.Person.of(people["ada"])),
        ("Two", objects.Person.of(people["ada"])),
    ], "saying the same again is no edit"


def test_only_the_last_edits_of_a_message_are_listed(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.edits.MAX_EDITS", 2)
    message = post(people["ada"], room, "0").message
    for number in range(1, 5):
        edit(people["ada"], room, message, str(number))
    assert [each.text for each in store.list_edits(people["ada"].pk, room.pk, message.id)] == ["2", "3"]


def test_edits_are_listed_over_http(client: Client, people: Any, room: Conversation) -> None:
    message = post(people["ada"], room, "One").message
    edit(people["ada"], room, message, "Two")
    address = f"/chat/api/conversations/{room.pk}/messages/{message.id}/edits/"
    assert client.get(address).status_code == 401
    client.force_login(people["bob"])
    assert [each["text"] for each in client.get(address).json()["edits"]] == ["One"]
    client.force_login(people["eve"])
    assert client.get(address).status_code == 404
    store.delete_message(people["ada"].pk, room.pk, message.id)
    client.force_login(people["bob"])
    assert client.get(address).status_code == 404, "what is deleted is not read in its edits either"


def test_users_can_edit_only_their_own_messages(people: Any, room: Conversation, settings: Any) -> None:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    settings.NOUS_CHAT = {"MAX_MESSAGE_CHARS": 10}
    question = post(people["bob"], room).message
    started = store.start_run(Run.objects.get().pk, HOST)
    assert started is not None
    with refused("forbidden"):
        edit(people["ada"], room, question, "Not mine, though I own the room")
    with refused("forbidden"):
        edit(people["ada"], room, started.message, "An agent's words are nobody's to change")
    with refused("forbidden"):
        edit(people["eve"], room, question, "x")
    with refused("empty"):
        edit(people["bob"], room, question, " \n")
    with refused("too_large"):
        edit(people["bob"], room, question, "x" * 11)
    with refused("not_found"):
        store.edit_message(people["bob"].pk, room.pk, uuid.uuid4(), "x", False, HOST)
    store.delete_message(people["bob"].pk, room.pk, question.id)
    with refused("not_found"):
        edit(people["bob"], room, question, "x")
    Participant.objects.filter(user=people["bob"]).update(role="viewer")
    with refused("forbidden"):
        edit(people["bob"], room, question, "x")
    assert not Edit.objects.exists()


def test_resending_a_message_hides_its_answers_and_queues_a_run(people: Any, room: Conversation) -> None:
    question = post(people["ada"], room, "Tea?").message
    started = store.start_run(Run.objects.get().pk, HOST)
    assert started is not None
    end(started, text="Yes, tea.")
    edited = edit(people["ada"], room, question, "Coffee?", resend=True)

    assert [(m.text, m.shown) for m in edited.hidden] == [("Yes, tea.", False)]
    assert shown(people["bob"], room) == ["Coffee?"]
    assert edited.start is not None
    again = store.start_run(edited.start, HOST)
    assert again is not None
    assert [m.text for m in again.prompt] == ["Coffee?"]
    assert again.message.alternatives == (), "it answers another question"
    end(again, text="Yes, coffee.")
    assert shown(people["bob"], room) == ["Coffee?", "Yes, coffee."]
    (earlier,) = store.list_edits(people["bob"].pk, room.pk, question.id)
    assert (earlier.text, [m.text for m in earlier.answers]) == ("Tea?", ["Yes, tea."])
    with refused("conflict"):
        store.choose_alternative(people["ada"].pk, room.pk, started.message.id)
    with refused("not_found"):
        store.delete_message(people["ada"].pk, room.pk, started.message.id)


def test_answers_to_earlier_texts_stay_readable(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = post(people["ada"], room, "One").message
    first = store.start_run(Run.objects.get().pk, HOST)
    assert first is not None
    end(first, text="1")
    other = store.start_run(store.request_run(people["ada"].pk, room.pk, first.message.id, HOST), HOST)
    assert other is not None
    end(other, text="another 1")
    edit(people["ada"], room, question, "One, or rather")
    for text in ("Two", "Two", "Three"):
        started = store.start_run(edit(people["ada"], room, question, text, resend=True).start, HOST)  # type: ignore[arg-type]
        assert started is not None
        end(started, text=f"an answer to {text}")
    post(people["ada"], room, "Next")
    following = store.start_run(Run.objects.get(status="queued").pk, HOST)
    assert following is not None
    end(following, text="of the next question")

    listed = store.list_edits(people["bob"].pk, room.pk, question.id)
    assert [(each.text, [answer.text for answer in each.answers]) for each in listed] == [
        ("One", ["1", "another 1"]),
        ("One, or rather", []),
        ("Two", ["an answer to Two"]),
        ("Two", ["an answer to Two"]),
    ], "each under the text that it answers, although the text was sent again unchanged"
    assert shown(people["bob"], room) == ["Three", "an answer to Three", "Next", "of the next question"]
    monkeypatch.setattr("chat.store.edits.MAX_EDITS", 2)
    listed = store.list_edits(people["bob"].pk, room.pk, question.id)
    assert [len(each.answers) for each in listed] == [1, 1]
    store.delete_message(people["ada"].pk, room.pk, question.id)
    hidden = Message.objects.filter(shown=False, role="assistant")
    assert all(answer.deleted_at for answer in hidden)


def test_only_the_last_message_can_be_resent_and_not_during_a_run(people: Any, room: Conversation) -> None:
    first = begin(people["ada"], room, "Tea?")
    question = Message.objects.get(role="user")
    with refused("conflict"):
        edit(people["ada"], room, objects.Message.of(question), "Coffee?", resend=True)
    question.refresh_from_db()
    assert question.text == "Tea?", "refused as a whole"
    end(first)
    post(people["bob"], room, "Water!")
    with refused("conflict"):
        edit(people["ada"], room, objects.Message.of(question), "Coffee?", resend=True)
    assert Run.objects.count() == 2


def test_a_deleted_message_keeps_only_its_place(people: Any, room: Conversation) -> None:
    secret = post(people["ada"], room, "My password is 1234").message
    started = store.start_run(Run.objects.get().pk, HOST)
    assert started is not None
    end(started, text="I would not have said that")
    deleted = store.delete_message(people["ada"].pk, room.pk, secret.id)

    assert (deleted.text, deleted.seq) == ("", 1)
    assert deleted.deleted_at is not None
    assert deleted.deleted_by == objects.Person.of(people["ada"])
    assert shown(people["bob"], room) == ["", "I would not have said that"]
    assert store.read_snapshot(people["bob"].pk, room.pk).conversation.title == "", "it was the title, too"
    now = begin(people["ada"], room, "Hello again")
    assert [m.text for m in now.prompt] == ["I would not have said that", "Hello again"]


def test_a_title_made_of_first_words_follows_edits_and_deletions(people: Any, room: Conversation) -> None:

    def title() -> str:
        return store.get_conversation(people["ada"].pk, room.pk).title

    first = post(people["ada"], room, "Helo there").message
    post(people["ada"], room, "And more")
    edit(people["ada"], room, first, "Hello there")
    assert title() == "Hello there"
    store.delete_message(people["ada"].pk, room.pk, first.id)
    assert title() == ""
    store.restore_message(people["ada"].pk, room.pk, first.id)
    assert title() == "Hello there"
    store.change_conversation(people["ada"].pk, room.pk, store.ConversationChanges(title="Mine"))
    store.delete_message(people["ada"].pk, room.pk, first.id)
    assert title() == "Mine"


def test_the_error_of_a_failed_answer_is_hidden_when_it_is_deleted(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room)
    end(started, "failed", text="", error=objects.Failure("refused", "I will not say secret"))
    deleted = store.delete_message(people["ada"].pk, room.pk, started.message.id)
    assert deleted.run is not None
    assert deleted.run.error is None
    assert deleted.calls == ()


def test_the_user_who_deleted_a_message_can_restore_it_in_time(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"UNDO_SECONDS": 60}
    message = post(people["bob"], room, "Hello").message
    store.delete_message(people["ada"].pk, room.pk, message.id)  # she owns the room
    with refused("forbidden"):
        store.restore_message(people["bob"].pk, room.pk, message.id)
    restored = store.restore_message(people["ada"].pk, room.pk, message.id)
    assert (restored.text, restored.deleted_at, restored.deleted_by) == ("Hello", None, None)
    assert store.restore_message(people["bob"].pk, room.pk, message.id) == restored, "there is nothing to do"

    store.delete_message(people["bob"].pk, room.pk, message.id)
    Message.objects.filter(pk=message.id).update(deleted_at=timezone.now() - timedelta(seconds=61))
    with refused("conflict"):
        store.restore_message(people["bob"].pk, room.pk, message.id)


def test_authors_owners_and_staff_can_delete_messages(people: Any, room: Conversation, django_user_model: Any) -> None:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    mine = post(people["ada"], room).message
    started = store.start_run(Run.objects.get().pk, HOST)
    assert started is not None
    with refused("conflict"):
        store.delete_message(people["ada"].pk, room.pk, started.message.id)
    end(started)
    for message_id in (mine.id, started.message.id):
        with refused("forbidden"):
            store.delete_message(people["bob"].pk, room.pk, message_id)
        with refused("forbidden"):
            store.delete_message(people["eve"].pk, room.pk, message_id)
    with refused("not_found"):
        store.delete_message(people["ada"].pk, room.pk, uuid.uuid4())
    stranger = django_user_model.objects.create_user("dan")
    with refused("not_found"):
        store.delete_message(stranger.pk, room.pk, mine.id)
    store.request_run(people["ada"].pk, room.pk, started.message.id, HOST)
    with refused("conflict"):  # it is being made again
        store.delete_message(people["ada"].pk, room.pk, started.message.id)


def test_a_deleted_answer_cannot_be_regenerated(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room)
    end(started, "stopped")
    store.delete_message(people["ada"].pk, room.pk, started.message.id)
    for continues in (False, True):
        with refused("conflict"):
            store.request_run(people["ada"].pk, room.pk, started.message.id, HOST, continues=continues)


def test_edits_and_deletions_are_published_to_everyone(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"], room.pk) as bob:
            await bob.say("Helo", mode="queue")
            message = (await ada.hear("message.created"))["message"]
            await ada.hear("run.finished")
            await bob.send("message.edit", message=message["id"], text="Hello", ref="1")
            assert (await bob.answered("1"))["message"] == message["id"]
            assert (await ada.hear("message.updated"))["message"]["text"] == "Hello"
            await bob.send("message.delete", message=message["id"])
            assert (await ada.hear("message.deleted"))["message"]["text"] == ""
            await ada.send("message.restore", message=message["id"], ref="2")
            assert (await ada.answered("2"))["code"] == "forbidden"
            await bob.send("message.restore", message=message["id"])
            assert (await ada.hear("message.updated", 2))["message"]["text"] == "Hello"
            await bob.send("message.edit", message=message["id"], text="long", resend=True, ref="3")
            assert (await bob.answered("3"))["run"]
            assert not (await ada.hear("message.updated", 4))["message"]["shown"]
            await ada.until(lambda: len(ada.of_type("run.started")) == 2)
            await ada.until(lambda: ada.answer["text"])
            assert [role for role, _ in ada.transcript] == ["user", "assistant"]
            await ada.send("run.stop", run=ada.answer["run"]["id"])
            await ada.hear("run.finished", 2)
            await bob.hear("run.finished", 2)
            assert ada.transcript == bob.transcript
            async with InProcess(people["ada"], room.pk) as late:
                assert late.transcript == ada.transcript

    scenario(talk)


def test_deleting_a_question_deletes_the_answers_to_its_earlier_texts(
    people: Any, room: Conversation, settings: Any
) -> None:
    """They are hidden, so nobody could delete them."""
    settings.NOUS_CHAT = {"UNDO_SECONDS": 0}
    ada = people["ada"]
    before = post(ada, room, "Before").message
    finish_active("before")
    question = post(ada, room, "The code is 1234?").message
    finish_active("1234 is one")
    for text in ("1234 is two", "1234 goes"):  # made again, and that one goes on
        last = Message.objects.order_by("-seq")[0]
        run = store.request_run(ada.pk, room.pk, last.pk, HOST, continues=text == "1234 goes")
        finish_active(text)
        Run.objects.filter(pk=run).update(status="stopped")
    assert edit(ada, room, question, "Which code?", resend=True).start is not None
    finish_active("None")
    last = Message.objects.order_by("-seq")[0]
    store.request_run(ada.pk, room.pk, last.pk, HOST)
    finish_active("None at all")
    after = post(ada, room, "After").message
    finish_active("1234 after")
    assert edit(ada, room, after, "Afterwards", resend=True).start is not None
    finish_active("After that")

    store.delete_message(ada.pk, room.pk, question.id)
    while store.erase_expired():
        pass
    kept = list(Message.objects.exclude(text="").order_by("seq").values_list("text", flat=True))
    assert kept == [before.text, "before", "None", "None at all", "Afterwards", "1234 after", "After that"]
    store.delete_message(ada.pk, room.pk, after.id)
    while store.erase_expired():
        pass
    assert not Message.objects.filter(text__contains="1234").exists()


def test_alternatives_of_a_deleted_answer_survive_the_deletion_of_the_question(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    question = post(ada, room, "Why?").message
    finish_active("one")
    first = Message.objects.get(text="one")
    store.request_run(ada.pk, room.pk, first.pk, HOST)
    finish_active("two")
    store.delete_message(ada.pk, room.pk, Message.objects.get(text="two").pk)
    store.delete_message(ada.pk, room.pk, question.id)
    store.restore_message(ada.pk, room.pk, question.id)
    assert store.choose_alternative(ada.pk, room.pk, first.pk).text == "one"


def finish_active(text: str) -> None:
    started = store.start_run(Run.objects.get(status="queued").pk, HOST)
    assert started is not None
    end(started, text=text)
