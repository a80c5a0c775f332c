"""What an agent writes piece by piece: its open range, those who write around it, and those who take over."""

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat import store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Document, DocumentUpdate
from chat.protocol import objects
from chat.protocol.errors import Refused

from ..support.store_helpers import HOST, begin, end, refused

pytestmark = pytest.mark.django_db

OLD = "one\nold 😀\nthree"
PLACE = 4, 10
"""Of the second line of OLD, in UTF-16 units."""


class Writer:
    """A run that replaces the second line of a document."""

    def __init__(self, user: Any, room: Conversation, text: str = OLD) -> None:
        self.user, self.room = user, room
        self.document = store.create_document(user.pk, room.pk, store.NewDocument("Plan", text=text))
        self.started = begin(user, room)
        assert self.started.message.run is not None
        self.run = self.started.message.run.id

    def begin(self, text: str = "n", version: int = 1, host: str = HOST) -> store.PushedChange:
        return store.begin_writing(self.run, host, self.document.id, version, PLACE, text)

    def extend(self, written: int, text: str) -> store.PushedChange:
        return store.extend_writing(store.Extension(self.run, HOST, self.document.id, written, text))

    def finish(self, written: int, text: str = "") -> store.PushedChange | objects.Document:
        return store.finish_writing(store.Extension(self.run, HOST, self.document.id, written, text))

    def push(self, version: int, changes: list[Any]) -> store.PushedChange:
        parsed = ChangeSet.parse(changes)
        return store.push_changes(self.user.pk, self.room.pk, self.document.id, version, parsed, None)

    def take_over(self) -> store.TakenOver:
        return store.take_over_document(self.user.pk, self.room.pk, self.document.id)

    @property
    def opened(self) -> objects.OpenedDocument:
        return store.get_document(self.user.pk, self.document.id)

    @property
    def text(self) -> str:
        return self.opened.text


@pytest.fixture
def writer(people: Any, room: Conversation) -> Writer:
    return Writer(people["ada"], room)


def places(writing: objects.Writing | None) -> tuple[int, int, int] | None:
    return None if writing is None else (writing.start, writing.at, writing.end)


def test_new_text_grows_in_front_of_the_old_one_which_is_deleted_at_the_end(writer: Writer) -> None:
    begun = writer.begin("new ")
    assert (begun.update.version, begun.update.run, begun.update.author) == (2, writer.run, None)
    assert places(begun.writing) == (4, 8, 14)
    assert begun.writing is not None
    assert (begun.writing.run, begun.writing.agent.slug) == (writer.run, "assistant")
    assert writer.text == "one\nnew old 😀\nthree"
    assert places(writer.opened.writing) == (4, 8, 14)
    assert store.list_documents(writer.user.pk, writer.room.pk)[0].writing == writer.opened.writing
    assert store.list_updates(writer.user.pk, writer.document.id, 0).writing == writer.opened.writing
    assert places(writer.extend(4, "🎉").writing) == (4, 10, 16)
    finished = writer.finish(6, "!")
    assert isinstance(finished, store.PushedChange)
    assert finished.writing is None
    assert writer.text == "one\nnew 🎉!\nthree"
    assert writer.opened.writing is None


def test_others_write_around_it_and_not_inside(writer: Writer) -> None:
    writer.begin("new ")
    with pytest.raises(Refused) as error:
        writer.push(2, [6, [0, "x"], 14])
    assert "Assistant is writing here" in str(error.value)
    pushed = writer.push(2, [[0, "zero", ""], 14, [0, "?"], 6])  # before it, and at its end
    assert places(pushed.writing) == (9, 13, 19)
    writer.extend(4, "text")
    assert writer.text == "zero\none\nnew textold 😀?\nthree"
    writer.finish(8)
    assert writer.text == "zero\none\nnew text?\nthree"
    writer.push(5, [11, [0, "x"], 13])  # it is closed


def test_after_a_takeover_the_run_writes_no_more_and_its_text_stays(writer: Writer) -> None:
    writer.begin("new ")
    taken = writer.take_over()
    assert (taken.repeated, taken.document.writing) == (False, None)
    assert writer.take_over().repeated
    for work in (writer.extend, writer.finish):
        with pytest.raises(Refused) as error:
            work(4, "x")
        assert str(error.value) == "ada has taken over."
    pushed = writer.push(2, [6, [0, "x"], 14])
    assert pushed.writing is None
    with refused("conflict"):
        writer.finish(4)
    assert writer.text == "one\nnexw old 😀\nthree"
    writer.begin("again ", version=3)  # the next call of the model may
    assert places(writer.opened.writing) == (4, 10, 16)


def test_a_run_that_has_ended_has_no_open_range(writer: Writer) -> None:
    writer.begin("new ")
    end(writer.started)
    assert writer.opened.writing is None
    with refused("run_over"):
        writer.extend(4, "x")
    pushed = writer.push(2, [6, [0, "x"], 14])
    assert pushed.writing is None
    assert writer.text == "one\nnexw old 😀\nthree"


def test_what_is_repeated_after_a_lost_commit_is_written_once(writer: Writer) -> None:
    begun, again = writer.begin("new "), writer.begin("new ")
    assert (again.update, again.writing, again.repeated) == (begun.update, begun.writing, True)
    more, again = writer.extend(4, "😀"), writer.extend(4, "😀")
    assert (again.update, again.writing, again.repeated) == (more.update, more.writing, True)
    done, again_done = writer.finish(6, "."), writer.finish(6, ".")
    assert isinstance(done, store.PushedChange)
    assert isinstance(again_done, store.PushedChange)
    assert (again_done.update, again_done.repeated) == (done.update, True)
    assert writer.text == "one\nnew 😀.\nthree"
    assert writer.opened.version == 4

    key = uuid.uuid4()
    new = store.NewDocument("Other", text="a")
    created = [store.create_document_by_run(writer.run, HOST, key, new, opened=True) for _ in range(2)]
    assert created[0] == created[1]
    assert places(created[0].writing) == (0, 1, 1)
    assert Document.objects.count() == 2
    closed = store.finish_writing(store.Extension(writer.run, HOST, key, 1, ""))
    assert isinstance(closed, objects.Document)  # nothing was left to write
    assert (closed.writing, closed.version) == (None, 1)


def test_an_agent_that_breaks_off_leaves_both_texts(writer: Writer) -> None:
    writer.begin("new ")
    closed = store.close_writing(writer.run, HOST, writer.document.id)
    assert closed is not None
    assert closed.writing is None
    assert store.close_writing(writer.run, HOST, writer.document.id) is None
    assert writer.text == "one\nnew old 😀\nthree"
    with refused("conflict"):
        writer.extend(4, "x")


def test_a_run_begins_only_in_the_newest_text_and_only_in_its_own_process(writer: Writer) -> None:
    with refused("stale"):
        writer.begin(version=0)
    with refused("run_over"):
        writer.begin(host="another")
    with refused("conflict"):
        writer.extend(0, "x")
    with refused("not_found"):
        store.begin_writing(writer.run, HOST, uuid.uuid4(), 1, PLACE, "x")


def test_a_change_of_the_release_before_moves_the_range_as_well(writer: Writer) -> None:
    writer.begin("new ")
    changes = [[0, "zero", ""], 20]
    DocumentUpdate.objects.create(document_id=writer.document.id, version=3, changes=changes)
    Document.objects.filter(pk=writer.document.id).update(version=3)
    assert writer.opened.writing is None  # its positions are those of version 2
    assert places(writer.extend(4, "x").writing) == (9, 14, 20)
    assert writer.text == "zero\none\nnew xold 😀\nthree"


def more(writer: Writer, written: int, text: str, **fields: Any) -> store.Extension:
    given: dict[str, Any] = {"host": HOST, "document_id": writer.document.id} | fields
    return store.Extension(writer.run, given["host"], given["document_id"], written, text)


@pytest.fixture
def writers(people: Any) -> list[Writer]:
    """Four runs, each in a conversation of its own."""
    ada = people["ada"]
    rooms = [Conversation.objects.get(pk=store.create_conversation(ada).id) for _ in range(4)]
    Conversation.objects.update(answers="always")
    return [Writer(ada, room, f"one\nold 😀\n{place}") for place, room in enumerate(rooms)]


def test_what_several_runs_write_at_the_same_time_is_stored_together(writers: list[Writer]) -> None:
    for writer in writers:
        writer.begin("n")
    extensions = [more(writer, 1, f"ew {place} ") for place, writer in enumerate(writers)]
    with CaptureQueriesContext(connection) as captured:
        pushed = store.extend_together(extensions)
    changes = [query["sql"] for query in captured.captured_queries if query["sql"].startswith(("INSERT", "UPDATE"))]
    assert len(changes) == 1 + len(writers)
    for place, (writer, each) in enumerate(zip(writers, pushed, strict=True)):
        assert each is not None
        assert (each.update.version, each.update.run, places(each.writing)) == (3, writer.run, (4, 10, 16))
        assert writer.text == f"one\nnew {place} old 😀\n{place}"


def test_what_cannot_be_written_is_left_out_and_the_others_are_stored(writers: list[Writer], settings: Any) -> None:
    settings.NOUS_CHAT = {"MAX_DOCUMENT_CHARS": 100}
    for writer in writers:
        writer.begin("n")
    first, taken, ended, last = writers
    taken.take_over()
    end(ended.started)
    left_out = [
        more(taken, 1, "x"),
        more(ended, 1, "x"),
        more(first, 1, "x" * 200),
        more(first, 0, "n"),  # it was written before
        more(first, 1, "x", host="another"),
        more(first, 1, "x", document_id=last.document.id),
        more(first, 1, "x", document_id=uuid.uuid4()),
    ]
    for extension in left_out:
        assert store.extend_together([extension, more(last, 1, "")])[0] is None
    assert store.extend_together([left_out[0], more(last, 1, "ew")])[1] is not None
    assert last.text.startswith("one\nnew")
    for writer in (first, taken, ended):
        assert writer.text.startswith("one\nnold")


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one lock")
def test_a_document_that_somebody_locks_holds_up_no_other(writers: list[Writer]) -> None:
    first, last = writers[0], writers[-1]
    for writer in (first, last):
        writer.begin("n")
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM nous_chat_document WHERE id = %s FOR UPDATE", [first.document.id])
        left_out, pushed = store.extend_together([more(first, 1, "ew"), more(last, 1, "ew")])
    finally:
        other.close()
    assert left_out is None
    assert pushed is not None
    assert first.extend(1, "ew").update.version == 3
