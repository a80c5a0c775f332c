"""Export and import: what is in the lines, what comes back from them, and what is refused."""

import io
import json
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat import store
from chat.models import (
    Attachment,
    Conversation,
    Document,
    Guest,
    Message,
    Participant,
    Passage,
    Run,
    Spending,
    ToolCall,
    attachment_storage,
)
from chat.permissions import is_guest
from chat.store.transfer import export as export_module
from chat.store.transfer import lines as lines_module
from chat.store.transfer import tables

from ..support.everything import WORDS, make_everything, make_guest, missing_fields
from ..support.store_helpers import begin, pause, post

pytestmark = pytest.mark.django_db

Line = dict[str, Any]


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def exported(**scope: Any) -> bytes:
    return b"".join(store.export(store.Scope(**scope), "jsonl"))


def read(content: bytes) -> list[Line]:
    return [json.loads(line) for line in content.splitlines()]


def load(content: bytes) -> list[store.Imported]:
    return list(store.import_lines(io.BytesIO(content)))


def encode(lines: list[Line]) -> bytes:
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


def empty_the_site() -> None:
    Conversation.objects.all().delete()
    Spending.objects.all().delete()
    get_user_model().objects.all().delete()


def test_every_table_is_exported_or_left_out_for_a_reason() -> None:
    models = set(apps.get_app_config("nous_chat").get_models())
    listed = {table.model for table in tables.TABLES.values()}
    assert models == listed | tables.LEFT_OUT.keys(), "add the model to CONVERSATIONS or to LEFT_OUT"
    assert not listed & tables.LEFT_OUT.keys()
    assert all(tables.LEFT_OUT.values())
    for model, fields in tables.LEFT_OUT_FIELDS.items():
        assert {field.name for field in model._meta.get_fields()} >= fields.keys()


def test_an_import_into_an_empty_site_gives_equal_lines(people: Any, django_capture_on_commit_callbacks: Any) -> None:
    first = make_everything(people["ada"], people["bob"])
    second = store.create_conversation(people["bob"])
    Conversation.objects.filter(pk=second.id).update(deleted_at=timezone.now(), created_at=first.created_at)
    before = exported()
    lines = read(before)
    assert not missing_fields(lines), "tests/support/everything.py sets every field"
    words = sorted(Passage.objects.values_list("text", flat=True))
    empty_the_site()
    outcomes = load(before)
    assert [outcome.status for outcome in outcomes] == ["imported", "imported"]
    assert exported() == before
    assert sorted(Passage.objects.values_list("text", flat=True)) == words
    assert not get_user_model().objects.get(username="ada").has_usable_password()
    row = Attachment.objects.get(name=f"{WORDS}-0")
    with attachment_storage().open(str(row.file.name)) as file:
        assert file.read() == f"{WORDS} file".encode()
    document = Document.objects.get(deleted_at=None)
    assert store.get_document(get_user_model().objects.get(username="ada").pk, document.pk).text.endswith("\nend")
    assert [outcome.status for outcome in load(before)] == ["skipped", "skipped"], "it can be repeated"
    assert exported() == before


def test_the_order_of_the_lines_is_that_of_the_rows_however_many_fit_into_a_page(
    people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = timezone.now() - timedelta(days=1)
    for number in range(7):
        room = make_everything(people["ada"], people["bob"])
        Conversation.objects.filter(pk=room.pk).update(created_at=moment - timedelta(hours=number // 2))
    whole = exported()
    rooms = [line for line in read(whole) if line["type"] == "conversation"]
    assert rooms == sorted(rooms, key=lambda line: (line["created_at"], line["id"]))
    for size in (1, 2, 3):
        for table in (tables.CONVERSATIONS, *tables.TABLES.values(), tables.SPENDINGS):
            monkeypatch.setattr(table, "page", size)
        monkeypatch.setattr(export_module, "PAGE", size)
        assert exported() == whole, f"pages of {size} rows"


def test_times_have_an_offset_on_a_site_without_time_zones(
    people: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    for _ in range(3):
        make_everything(people["ada"], people["bob"])
    monkeypatch.setattr(tables.CONVERSATIONS, "page", 2)
    before = exported()
    made = next(line for line in read(before) if line["type"] == "conversation")["created_at"]
    assert made.endswith("+09:00")
    empty_the_site()
    assert {outcome.status for outcome in load(before)} == {"imported"}
    assert exported() == before


def test_the_number_of_queries_does_not_grow_with_the_conversations(people: Any) -> None:
    counts = []
    for _ in range(2):
        for _room in range(3):
            make_everything(people["ada"], people["bob"])
        with CaptureQueriesContext(
            connection,
        ) as queries:
            exported()
        counts.append(len([query for query in queries if "nous_chat_attachment" not in query["sql"]]))
    assert counts[0] == counts[1]


def test_what_is_in_progress_is_exported_as_interrupted(people: Any, room: Conversation) -> None:
    waiting = begin(people["ada"], room)
    pause(waiting)
    assert waiting.message.run is not None
    ToolCall.objects.create(run_id=waiting.message.run.id, call_id="1", name="send", status="awaiting_approval")
    other = store.create_conversation(people["ada"])
    running = post(people["ada"], Conversation.objects.get(pk=other.id))
    Conversation.objects.filter(pk=other.id).update(waiting=[["assistant", str(people["ada"].pk), 1]])
    before = exported()
    runs = [line for line in read(before) if line["type"] == "run"]
    assert {line["id"] for line in runs} == {str(waiting.message.run.id), str(running.start)}
    assert {line["status"] for line in runs} == {"interrupted"}
    empty_the_site()
    load(before)
    assert not Run.objects.filter(status__in=Run.ACTIVE).exists()
    assert ToolCall.objects.get().status == "stopped"
    assert list(Conversation.objects.values_list("waiting", flat=True)) == [[], []]
    assert exported() == before


def test_guests_stay_guests(people: Any, room: Conversation) -> None:
    make_guest(people["bob"])
    before = exported()
    empty_the_site()
    load(before)
    bob = get_user_model().objects.get(username="bob")
    assert is_guest(bob)
    assert Guest.objects.get().user == bob
    assert not is_guest(get_user_model().objects.get(username="ada"))
    assert exported() == before


def test_people_of_the_site_keep_their_accounts(people: Any, room: Conversation) -> None:
    before = exported()
    Conversation.objects.all().delete()
    load(before)
    assert people["ada"].check_password("x")
    assert get_user_model().objects.get(username="ada").has_usable_password()
    assert Participant.objects.filter(user=people["ada"], role="owner").exists()


def test_a_users_export_has_their_conversations_without_what_is_not_for_them(people: Any) -> None:
    make_everything(people["ada"], people["bob"])
    own = store.create_conversation(people["bob"])
    deleted = store.create_conversation(people["bob"])
    Conversation.objects.filter(pk=deleted.id).update(deleted_at=timezone.now())
    store.create_conversation(people["ada"])
    lines = read(exported(user=people["bob"].pk))
    kinds = {line["type"] for line in lines}
    assert [line["id"] for line in lines if line["type"] == "conversation"][1:] == [str(own.id)]
    assert not kinds & {"removal", "invitation"}
    assert all(line["user"] == "bob" for line in lines if line["type"] == "spending")
    assert {line["user"] for line in lines if "pinned" in line or "last_read" in line} == {"bob"}
    assert not [line for line in lines if {"error_detail", "host", "transcript", "summary"} & line.keys()]
    assert {line["seq"] for line in lines if line["type"] == "message"} == {1, 2, 3, 5, 6}, (
        "the deleted one is not there"
    )
    assert f"{WORDS}-unsent" not in {line.get("name") for line in lines}
    assert [line["title"] for line in lines if line["type"] == "document"] == [f"{WORDS} document"]
    content = exported(user=people["bob"].pk)
    empty_the_site()
    assert {outcome.status for outcome in load(content)} == {"imported"}


def test_a_user_gets_only_what_the_sites_rules_show_them(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"PERMISSIONS": f"{__name__}.Blind"}
    assert len(read(exported(user=people["ada"].pk))) == 2, "the first line and the last one"


from chat.permissions import Permissions  # noqa: E402


class Blind(Permissions):
    def can_see(self, participant: Participant) -> bool:
        return False


def test_one_conversation_is_exported_alone(people: Any, room: Conversation) -> None:
    store.create_conversation(people["ada"])
    Spending.objects.create(day=timezone.now().date(), tokens=1)
    lines = read(exported(conversation=room.pk))
    assert [line["type"] for line in lines] == ["export", "conversation", "participant", "participant", "end"]
    assert lines[-1]["conversations"] == 1


def test_a_lost_file_does_not_hold_up_the_export(people: Any, media: Path) -> None:
    make_everything(people["ada"], people["bob"])
    for file in media.rglob("*"):
        if file.is_file():
            file.unlink()
    before = exported()
    assert b"attachment_data" not in before
    empty_the_site()
    assert {outcome.status for outcome in load(before)} == {"imported"}
    assert exported() == before


def change(kind: str, **fields: Any) -> Callable[[list[Line]], int]:
    """Change the first line of a kind. Returns its number."""

    def apply(lines: list[Line]) -> int:
        number = next(number for number, line in enumerate(lines, 1) if line["type"] == kind)
        lines[number - 1].update(fields)
        return number

    return apply


STRANGER = str(uuid.uuid4())


LATER = {"more bytes": 1, "not what its updates make": 2}
"""Problems that a later line shows."""


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (change("message", seq=-1), ">= 0"),
        (change("message", seq=7), "`seq` must grow"),
        (change("message", role="root"), "Invalid enum value 'root'"),
        (change("message", text="a\x00b"), "NUL"),
        (change("message", nonsense=1), "unknown field `nonsense`"),
        (change("message", created_at="yesterday"), "RFC3339"),
        (change("message", created_at="0001-01-01T00:00:00+14:00"), "out of range"),
        (change("message", author=["ada"]), "Expected `int | str"),
        (change("message", author="x" * 200), "not valid"),
        (change("message", parts=[{"type": "secret"}]), "Invalid value"),
        (change("conversation", title="x" * 201), "length <= 200"),
        (change("conversation", content_type="no.model"), "has no model"),
        (change("edit", message=STRANGER), "`message` is not in this conversation"),
        (change("run", status="queued"), "in progress"),
        (change("run", transcript="{"), "transcript"),
        (change("run", cost="NaN"), "number"),
        (change("run", cost="1e30"), "digits"),
        (change("tool_call", arguments=[["\x00"]]), "NUL"),
        (change("tool_call", status="running"), "in progress"),
        (change("attachment", size=1), "more bytes"),
        (change("attachment", size=99), "do not fit"),
        (change("attachment", media_type="text/html"), "do not fit"),
        (change("attachment_data", attachment=STRANGER), "does not follow its attachment"),
        (change("attachment_data", data="!"), "base64"),
        (change("document", text="Other text"), "not what its updates make"),
        (change("document", version=4), "not complete"),
        (change("document_update", changes=[3]), "does not follow"),
        (change("document_update", version=2), "does not follow"),
        (change("document_update", changes="x"), "list of sections"),
        (change("document_proposal", version=4), "does not fit its document"),
        (change("document_proposal", changes=[3]), "does not fit its document"),
        (change("participant", type="export", format=1), "unknown field"),
        (change("removal", type="password"), "Invalid value 'password'"),
    ],
)
def test_a_bad_line_is_named_and_nothing_of_its_conversation_is_imported(
    people: Any, media: Path, spoil: Callable[[list[Line]], int], problem: str
) -> None:
    room = make_everything(people["ada"], people["bob"])
    Conversation.objects.filter(pk=room.pk).update(created_at=timezone.now() - timedelta(days=1))
    store.create_conversation(people["bob"])
    lines = read(exported())
    empty_the_site()
    for file in media.rglob("*"):
        if file.is_file():
            file.unlink()
    number = spoil(lines)
    failed, imported = load(encode(lines))[:2]
    assert (failed.status, imported.status) == ("failed", "imported")
    assert problem in failed.error
    assert failed.line == number + LATER.get(problem, 0)
    assert not Conversation.objects.filter(pk=room.pk).exists()
    assert not Message.objects.exists()
    assert not [file for file in media.rglob("*") if file.is_file()], "its files are gone as well"


def test_references_to_what_is_not_exported_are_empty(people: Any) -> None:
    make_everything(people["ada"], people["bob"])
    lines = read(exported())
    empty_the_site()
    change("message", reply_to=STRANGER)(lines)
    assert {outcome.status for outcome in load(encode(lines))} == {"imported"}
    assert Message.objects.get(seq=1).reply_to is None


def test_an_import_cannot_take_over_rows_of_other_conversations(people: Any, room: Conversation) -> None:
    secret = post(people["ada"], room, "Secret").message
    make_everything(people["ada"], people["bob"])
    lines = read(exported())
    start = next(number for number, line in enumerate(lines) if line.get("title") == f"{WORDS} title")
    Conversation.objects.exclude(pk=room.pk).delete()
    lines = [lines[0], *lines[start:-1], {"type": "end", "conversations": 1}]
    next(line for line in lines if line.get("seq") == 6)["id"] = str(secret.id)
    (failed,) = load(encode(lines))
    assert failed.status == "failed"
    assert "database refuses" in failed.error
    assert Message.objects.get(pk=secret.id).text == "Secret"
    assert not Conversation.objects.exclude(pk=room.pk).exists()


def test_a_file_that_is_cut_off_is_imported_up_to_there_and_can_be_completed(people: Any) -> None:
    for _ in range(3):
        make_everything(people["ada"], people["bob"])
    whole = exported()
    empty_the_site()
    outcomes = load(whole[: len(whole) // 2])
    assert [outcome.status for outcome in outcomes] == ["imported", "failed", "failed"]
    assert Conversation.objects.count() == 1
    assert [outcome.status for outcome in load(whole)] == ["skipped", "imported", "imported"]
    assert exported() == whole


def test_equal_spendings_are_imported_as_often_as_they_are_in_the_file(people: Any) -> None:
    for _ in range(2):
        Spending.objects.create(day=timezone.now().date(), user=people["ada"], tokens=5, runs=1)
    whole = exported()
    Spending.objects.first().delete()  # type: ignore[union-attr]
    for _ in range(2):
        load(whole)
        assert exported() == whole


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not an export"),
        (b"\x80\xff\n", "not an export"),
        (b'{"type":"export","format":2}\n', "format 2"),
        (b'{"type":"end","conversations":0}\n', "not an export"),
        (b"[" * 100_000 + b"\n", "not an export"),
    ],
)
def test_a_file_that_is_no_export_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(store.BadLine, match=problem):
        load(content)


def test_lines_are_bounded(people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    before = exported()
    empty_the_site()
    monkeypatch.setattr("chat.store.transfer.load.MAX_LINE", 1000)
    long = before.replace(b'{"type":"participant"', b'{"type":"participant"' + b" " * 5000, 1)
    (failed,) = load(long)
    assert (failed.status, failed.line) == ("failed", 3)
    assert "longer than 1000 bytes" in failed.error
    deep = '{"type":"tool_call","x":' + "[" * 100_000
    (failed,) = load(before.replace(b'{"type":"participant"', deep.encode() + b'\n{"type":"participant"', 1))
    assert (failed.status, failed.line) == ("failed", 3)
    with pytest.raises(ValueError, match="nested too deeply"):
        lines_module.check_value([[[]]] if lines_module.MAX_DEPTH < 3 else json.loads("[" * 70 + "]" * 70))


# --- Formats for people

HOSTILE = "</div><script>alert(1)</script>\n````\n# Bob, today\n![x](http://tracker.invalid/)"


@pytest.mark.django_db(transaction=True)
def test_an_import_may_take_long_statements(people: Any, room: Conversation) -> None:
    """Nobody waits for it, and on a large site an index can take long to merge what it has gathered."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no limit for a statement")
    post(people["ada"], room, "Hello")
    content = exported()
    empty_the_site()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(6); RETURN NEW; END'"
        )
        cursor.execute("CREATE TRIGGER wait BEFORE INSERT ON nous_chat_message FOR EACH ROW EXECUTE FUNCTION wait()")
    try:
        assert [each.status for each in load(content)] == ["imported"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION wait CASCADE")


@pytest.mark.parametrize("file_format", ["markdown", "html"])
def test_a_readable_export_shows_what_people_see(people: Any, file_format: str) -> None:
    make_everything(people["ada"], people["bob"])
    text = b"".join(store.export(store.Scope(), file_format)).decode()
    for shown in (f"{WORDS} title", f"{WORDS} 1", f"{WORDS} 3", "ada left", "Something else", "custom:m, 3 tokens",
                  f"{WORDS} result", f"{WORDS}-0", f"{WORDS} file", f"{WORDS} 😀\nend", "Proposed by",
                  f"+end {WORDS} proposed", "ada", "bob"):  # fmt: skip
        assert shown in text.replace("\\_", "_"), shown
    for hidden in (
        f"{WORDS} 4",
        f"{WORDS} 2\n",
        "provider said",
        f"{WORDS}-unsent",
        f"{WORDS} before",
        f"{WORDS} deleted",
        f"{WORDS} declined",
    ):
        assert hidden not in text, hidden


def test_hostile_texts_are_escaped(people: Any, room: Conversation) -> None:
    post(people["ada"], room, HOSTILE)
    Conversation.objects.filter(pk=room.pk).update(title="<script>\n# Title", agent="assistant")
    people["ada"].first_name = '"><script>alert(2)</script>'
    people["ada"].save()
    page = b"".join(store.export(store.Scope(), "html")).decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    text = b"".join(store.export(store.Scope(), "markdown")).decode()
    block = re.search(r"^(`{5,})markdown\n(.*?)\n\1$", text, re.M | re.S)
    assert block
    assert block[2] == HOSTILE, "a fence that is longer than any in the text"
    assert "<script" not in text.replace(block[0], "").replace("\\<", "")


def test_a_picture_is_inside_the_page(people: Any) -> None:
    from base64 import b64encode

    from ..support.pictures import png

    make_everything(people["ada"], people["bob"])
    page = b"".join(store.export(store.Scope(), "html"))
    assert b'src="data:image/png;base64,' + b64encode(png(2, 2)) + b'">' in page


# --- Commands


def test_the_commands_export_and_import(people: Any, room: Conversation, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "export.jsonl"
    call_command("nous_export", output=str(file))
    assert file.read_bytes() == exported()
    call_command("nous_import", str(file))
    assert "0 imported, 1 skipped, 0 failed." in capsys.readouterr().out
    empty_the_site()
    call_command("nous_import", str(file))
    assert exported() == file.read_bytes()
    file.write_bytes(file.read_bytes().replace(b'"owner"', b'"king"'))
    empty_the_site()
    with pytest.raises(CommandError, match="Not everything"):
        call_command("nous_import", str(file))
    assert re.search(r"Line 3, conversation .*: Invalid enum value 'king'", capsys.readouterr().err)


def test_the_commands_say_what_they_do_not_find(tmp_path: Path, people: Any) -> None:
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("nous_export", output="-", user="nobody")
    with pytest.raises(CommandError, match="no conversation"):
        call_command("nous_export", output="-", conversation=STRANGER)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("nous_import", str(tmp_path / "missing"))
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("nous_export", output=str(tmp_path / "no" / "folder"))
