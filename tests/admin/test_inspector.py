"""The run inspector in Django's admin: starting it, the timeline of a run, and recordings that `demo` replays."""

import asyncio
import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import chat
from chat import engine, store
from chat.admin import inspector, moments
from chat.engine.providers.recording import Moment, RecordedExchange, RecordedRun, encode
from chat.models import Conversation, Inspection, Message, Run, RunRecording, ToolCall

from ..support.client import InProcess
from ..support.store_helpers import begin, end
from ..support.upstream import text

Scenario = Callable[..., Any]
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def answered(people: Any, room: Conversation) -> Run:
    """A run that has ended."""
    end(begin(people["ada"], room))
    return Run.objects.get()


def address(run: Run, page: str = "inspect") -> str:
    return reverse(f"admin:nous_chat_run_{page}", args=[run.pk])


def record(run: Run, *moments: Moment, exchanges: tuple[RecordedExchange, ...] = (), left_out: int = 0) -> None:
    content = encode(RecordedRun(run.created_at.timestamp() + 3, list(moments), list(exchanges), left_out))
    RunRecording.objects.create(run=run, since=timezone.now(), content=content)


def exchange(body: str = "data: {}", **fields: Any) -> RecordedExchange:
    return RecordedExchange({"request": {"messages": [HOSTILE]}, "status": 200}, body, **fields)


FACTS: dict[str, Any] = {
    **dict.fromkeys(("host", "model", "tool", "name", "detail", "text", "arguments", "reason", "address"), HOSTILE),
    "exchange": 0,
    "bytes": 1234,
    "seconds": 1.5,
    "seq": 57,
    "code": "overloaded",
    "status": "stopped",
}


def test_every_kind_of_moment_is_said_in_words_and_nothing_in_it_is_taken_for_html(
    admin_client: Client, answered: Run
) -> None:
    found = []
    for number, kind in enumerate(moments.SENTENCES):
        facts = FACTS | {"status": 200} if kind == "response" else FACTS
        many: dict[str, Any] = {
            "until": number + 0.5,
            "count": 2,
            "size": 1234,
            "pieces": [(float(number), HOSTILE)] * 2,
        }
        found.append(Moment(number, kind, facts, **(many if kind in moments.FOLDED else {})))
    found.append(Moment(99, "of a later release", {}))
    record(answered, *found, exchanges=(exchange(),), left_out=7)
    page = admin_client.get(address(answered)).content.decode()
    for expected in (
        *("Request 1 to", "1.2\xa0KB", "2 pieces of text, 1,234 characters, in 0.50 s", "2 frames sent to readers"),
        *("The run is cancelled: stopped (overloaded).", "up to frame 57", "of a later release"),
        *("7 more events were not kept.", "Readers are told the end: stopped."),
    ):
        assert expected in page, expected
    assert HOSTILE not in page
    assert not re.search(r"%\(\w+\)s", page)


def test_every_kind_that_is_recorded_has_its_words() -> None:
    root = Path(chat.__file__).parent
    code = "\n".join(file.read_text() for part in ("engine", "runs") for file in (root / part).rglob("*.py"))
    kinds = set(re.findall(r'\b_?(?:note|note_aside|add)\(\s*"(\w+)"', code))
    kinds |= {f"synced_{why}" for why in ("opened", "gap", "behind")}
    kinds |= {"began", "resumed", "result", "result_failed", "ended", "ended_elsewhere", "text", "thinking"}
    assert kinds == moments.SENTENCES.keys()


def test_the_timeline_is_in_order_and_says_where_the_time_went(
    admin_client: Client, people: Any, answered: Run
) -> None:
    asked = timezone.now() - timedelta(seconds=20)
    Run.objects.update(
        created_at=asked,
        started_at=asked + timedelta(seconds=1),
        stop_requested_at=asked + timedelta(seconds=8),
        stopped_by=people["bob"],
        finished_at=asked + timedelta(seconds=9),
        error_code="internal",
        error_detail="The provider said 500",
    )
    decided = {"status": "rejected", "decided_by": people["bob"], "decided_at": asked + timedelta(seconds=7)}
    ToolCall.objects.create(run=answered, call_id="1", name="pay", reason="Too much", **decided)
    answered.refresh_from_db()
    record(answered, Moment(0.0, "text", until=2, count=2, size=8, pieces=[(0.0, "one"), (2.0, "two")]))
    page = admin_client.get(address(answered))
    lines = page.context["lines"]
    assert [line.what.sentence for line in lines] == [
        "ada asks for the answer.",
        "A process takes it up.",
        "2 pieces of text, 8 characters, in 2.00 s",
        "bob rejects pay.",
        "bob stops it.",
        "It has ended: completed.",
    ]
    assert [round(line.after, 3) for line in lines] == [0, 1, 3, 7, 8, 9]
    assert [round(line.pause, 3) for line in lines] == [0, 1, 2, 2, 1, 1], "pieces are no pause"
    assert page.context["slowest"].what.sentence.startswith("2 pieces")
    content = page.content.decode()
    assert "Too much" in content
    assert "The provider said 500" in content


def test_many_pieces_share_rows(admin_client: Client, answered: Run) -> None:
    many = [(number / 1000, f"{number},") for number in range(2 * inspector.MAX_ROWS + 1)]
    record(answered, Moment(0, "text", until=2, count=len(many) + 5, size=9, pieces=many))
    page = admin_client.get(address(answered))
    (line,) = (line for line in page.context["lines"] if line.pieces)
    assert len(line.pieces) <= inspector.MAX_ROWS
    assert "".join(piece.text for piece in line.pieces) == "".join(piece for _at, piece in many)
    assert "5 more were only counted." in page.content.decode()


def test_what_is_too_long_or_holds_the_key_is_not_shown(admin_client: Client, answered: Run) -> None:
    sent = Moment(0, "request", FACTS)
    seen = Moment(1, "response", FACTS | {"status": 200})
    for left_out, expected in (("size", "too large to be kept"), ("key", "holds the provider"), ("", "9 more")):
        RunRecording.objects.all().delete()
        body = "" if left_out else "x" * (inspector.MAX_SHOWN + 9)
        record(answered, sent, seen, exchanges=(exchange(body, left_out=left_out),))
        assert expected in admin_client.get(address(answered)).content.decode()


def test_reading_is_noted_at_the_conversation_with_the_reason(
    admin_client: Client, answered: Run, settings: Any
) -> None:
    settings.NOUS_CHAT = {"REQUIRE_REASON": True}
    record(answered, Moment(0, "began", FACTS))
    for page in ("inspect", "recording"):
        assert "Why do you need to read this?" in admin_client.get(address(answered, page)).content.decode()
    assert not LogEntry.objects.exists()
    asked = admin_client.post(address(answered), {"reason": "Case 7"})
    assert asked["Location"] == address(answered)
    assert admin_client.get(address(answered)).status_code == 200
    assert admin_client.get(address(answered, "recording")).status_code == 200
    found = LogEntry.objects.order_by("pk").values_list("object_id", "change_message")
    assert [key for key, _ in found] == [str(answered.conversation_id)] * 2
    assert [said for _, said in found] == [
        f"Inspected the answer {answered.pk}. Reason: Case 7",
        f"Downloaded the recording of the answer {answered.pk}. Reason: Case 7",
    ]


def test_what_was_not_recorded_is_said_and_deleted_answers_are_not_there(admin_client: Client, answered: Run) -> None:
    page = admin_client.get(address(answered))
    assert "was not recorded" in page.content.decode()
    assert admin_client.get(address(answered, "recording")).status_code == 404
    record(answered, Moment(0, "began", FACTS))
    assert admin_client.get(address(answered, "recording")).status_code == 200
    for rows in (Message.objects.filter(role="assistant"), Conversation.objects.all()):
        rows.update(deleted_at=timezone.now())
        for name in ("inspect", "recording"):
            assert admin_client.get(address(answered, name)).status_code == 404
        rows.update(deleted_at=None)


def test_the_page_of_a_run_and_the_list_lead_to_it(admin_client: Client, answered: Run) -> None:
    change = reverse("admin:nous_chat_run_change", args=[answered.pk])
    assert address(answered) in admin_client.get(change).content.decode()
    runs = reverse("admin:nous_chat_run_changelist") + "?recorded=yes"
    assert admin_client.get(runs).context["cl"].result_count == 0
    record(answered, Moment(0, "began", FACTS))
    assert admin_client.get(runs).context["cl"].result_count == 1


def test_an_inspection_is_started_from_a_run_and_ended_by_deleting_it(admin_client: Client, answered: Run) -> None:
    add = reverse("admin:nous_chat_inspection_add")
    assert f"{add}?conversation={answered.conversation_id}" in admin_client.get(address(answered)).content.decode()
    form = admin_client.get(f"{add}?conversation={answered.conversation_id}").context["form"]
    assert form["conversation"].value() == str(answered.conversation_id)
    assert not admin_client.post(add, {"agent": "nobody", "hours": 2}).context["form"].is_valid()
    refused = admin_client.post(add, {"conversation": str(answered.pk), "hours": 2})
    assert "does not exist" in refused.content.decode()
    admin_client.post(add, {"conversation": str(answered.conversation_id), "agent": "assistant", "hours": 2})
    row = Inspection.objects.get()
    assert (row.conversation_id, row.agent) == (answered.conversation_id, "assistant")
    listed = admin_client.get(reverse("admin:nous_chat_inspection_changelist")).content.decode()
    assert 'data-status="running"' in listed
    admin_client.post(reverse("admin:nous_chat_inspection_delete", args=[row.pk]), {"post": "yes"})
    assert not Inspection.objects.exists()


@pytest.mark.parametrize(("name", "said", "code"), [
    ("words@n=5", text(5), None),
    ("status@code=429,retry_after=7", "", "rate_limited"),
    ("cut@n=3", text(3), "stream_cut"),
])  # fmt: skip
def test_a_recording_is_downloaded_and_replayed(
    admin_client: Client, scenario: Scenario, people: Any, room: Conversation, model: Any, monkeypatch: Any,
    tmp_path: Path, name: str, said: str, code: str | None,
) -> None:  # fmt: skip
    monkeypatch.setenv("NOUS_CHAT_MAX_RETRIES", "0")
    model(name)
    store.start_inspection(None, 1)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.finished")

    scenario(talk)
    answer = admin_client.get(address(Run.objects.get(), "recording"))
    assert answer["Content-Disposition"] == f'attachment; filename="run-{Run.objects.get().pk}.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert set(archive.namelist()) == {"timeline-1.json", "1.sse", "1.json"}
        archive.extractall(tmp_path)
    metadata = json.loads((tmp_path / "1.json").read_text())
    assert metadata["expected"]["text"] == said
    assert (metadata["expected"]["error"] or {}).get("code") == code
    assert metadata["request"]["messages"][-1]["content"] == "Hello"
    assert {"began", "request", "ended"} <= {
        each["kind"] for each in json.loads((tmp_path / "timeline-1.json").read_text())["moments"]
    }

    async def replay() -> list[engine.Event]:
        agent = engine.Agent(f"demo:{tmp_path / '1.sse'}", limits=engine.Limits(max_retries=0))
        return [event async for event in engine.run_stream(agent, "anything")]

    last = asyncio.run(replay())[-1]
    assert isinstance(last, engine.Finish | engine.Error)
    assert last.result.text == said
    assert (last.error.code if isinstance(last, engine.Error) else None) == code
