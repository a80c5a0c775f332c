"""A conversation in which every field of every table has a value that is not the default."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.utils import timezone

from chat.engine.providers import recording
from chat.models import (
    Attachment,
    Conversation,
    Document,
    DocumentProposal,
    DocumentUpdate,
    Edit,
    Feedback,
    Guest,
    Invitation,
    Message,
    Participant,
    Removal,
    Run,
    RunRecording,
    Spending,
    ToolCall,
    attachment_storage,
)
from chat.store.search import index_message, set_title
from chat.store.transfer.tables import TABLES

from .pictures import png

WORDS = "Zanzibar"
"""In each text that a person wrote."""


def make_everything(author: Any, other: Any) -> Conversation:
    """`author` wrote everything; `other` takes part. Nothing is in progress."""
    now = timezone.now()
    room = Conversation(
        agent="assistant",
        other_agents=["second"],
        answers="always",
        mode="queue",
        last_seq=6,
        summary=f"{WORDS} summary",
        summary_seq=1,
        content_type=ContentType.objects.get_for_model(Conversation),
        object_id=str(uuid.uuid4()),
        object_url="/somewhere/",
        listed=False,
        deleted_at=None,
        expires_at=now + timedelta(days=900),
    )
    set_title_of(room, f"{WORDS} title")
    for user, role in ((author, "owner"), (other, "member")):
        Participant.objects.create(
            conversation=room, user=user, role=role, last_read=2, pinned=True, archived=True, joined_at=now
        )
    Removal.objects.create(conversation=room, user=other)
    Invitation.objects.create(
        conversation=room, role="viewer", max_uses=5, uses=1, expires_at=now + timedelta(days=1), created_by=author
    )
    selection = {"document": str(uuid.uuid4()), "version": 1, "from": 0, "to": 8, "title": "Plan", "text": WORDS}
    question = _message(room, 1, "user", author=author, client_id=uuid.uuid4(), edited_at=now, selection=selection)
    Edit.objects.create(message=question, text=f"{WORDS} before", edited_by=author)
    for number, content in enumerate((f"{WORDS} file".encode(), png(2, 2))):
        kind = "image/png" if number else "text/plain"
        _attachment(room, author, question, f"{WORDS}-{number}", kind, content)
    _attachment(room, author, None, f"{WORDS}-unsent", "text/plain", f"{WORDS} unsent".encode())
    first = _message(room, 2, "assistant", shown=False, thinking=f"{WORDS} thought")
    Message.objects.filter(pk=first.pk).update(alternative_of=first)
    _run(room, first, author)
    Feedback.objects.create(message=first, user=author, rating="bad", comment=f"{WORDS} feedback")
    call = uuid.uuid4()
    answer = _message(
        room,
        3,
        "assistant",
        reply_to=question,
        alternative_of=first,
        replaces=first,
        thinking="Hm",
        parts=[{"type": "thinking", "length": 2}, {"type": "call", "call": str(call)}, {"type": "text", "length": 10}],
    )
    run = _run(room, answer, author)
    run.replaces = first
    run.save()
    _record(run)
    ToolCall.objects.create(
        pk=call,
        run=run,
        call_id="call-1",
        name="search",
        arguments={"query": [WORDS, 1, None, 2.5]},
        status="rejected",
        result=f"{WORDS} result",
        decided_by=author,
        decided_at=now,
        reason=f"{WORDS} reason",
        changed=True,
        expires_at=now,
    )
    _message(room, 4, "user", author=author, deleted_at=now, deleted_by=author)
    _message(room, 5, "system", text=f"{author.username} left")
    _message(room, 6, "user", author=other, text="Something else")
    Run.objects.create(conversation=room, agent="second", host="", status="failed", error_code="internal")
    _document(room, author, run)
    spent: dict[str, Any] = {"day": now.date(), "agent": "assistant", "model": "openai:gpt-4o"}
    for user, cost in ((author, "0.5"), (other, "0.25")):
        Spending.objects.create(**spent, user=user, conversation=room, tokens=2**40, cost=Decimal(cost), runs=3)
    Spending.objects.create(**spent, user=author, conversation=None, tokens=5, cost=Decimal("0.1"), runs=1)
    return room


def set_title_of(room: Conversation, title: str) -> None:
    room.save(force_insert=True)
    set_title(room, title, "person")
    room.save()


def _message(room: Conversation, seq: int, role: str, **fields: Any) -> Message:
    row = Message.objects.create(conversation=room, seq=seq, role=role, **{"text": f"{WORDS} {seq}"} | fields)
    index_message(row)
    return row


def _attachment(room: Conversation, user: Any, message: Message | None, name: str, kind: str, content: bytes) -> None:
    file = attachment_storage().save(f"nous_chat/{uuid.uuid4().hex}", ContentFile(content))
    text = "" if kind.startswith("image") else content.decode()
    Attachment.objects.create(
        conversation=room,
        message=message,
        uploaded_by=user,
        file=file,
        name=name,
        type=kind,
        size=len(content),
        text=text,
    )


def _run(room: Conversation, answer: Message, user: Any) -> Run:
    now = timezone.now()
    return Run.objects.create(
        conversation=room,
        message=answer,
        continues=True,
        status="failed",
        seq=7,
        agent="assistant",
        agent_version=3,
        model="custom:m",
        launched_by=user,
        host="here:1:a",
        unattended=True,
        stop_requested_at=now,
        stopped_by=user,
        finish_reason="stop",
        error_code="internal",
        error_message="It failed",
        error_detail="The provider said so",
        price='{"input":"1","output":"2","model":"a:b","currency":"USD","source":"settings"}',
        retry_after=1.5,
        input_tokens=1,
        output_tokens=2,
        total_tokens=3,
        cached_tokens=4,
        reasoning_tokens=5,
        tokens=6,
        cost=Decimal("0.001234"),
        transcript='[{"role":"user","text":"' + WORDS + '"}]',
        started_at=now,
        first_token_at=now,
        finished_at=now,
    )


def _record(run: Run) -> None:
    request = {"messages": [{"role": "user", "content": f"{WORDS} asked"}]}
    exchange = recording.RecordedExchange({"request": request, "status": 200}, f"{WORDS} answered")
    moment = recording.Moment(0.1, "text", until=0.2, count=1, size=8, pieces=[(0.1, WORDS)])
    content = recording.encode(recording.RecordedRun(0, [moment], [exchange]))
    RunRecording.objects.create(run=run, since=timezone.now() + timedelta(seconds=1), content=content)


def _document(room: Conversation, user: Any, run: Run) -> None:
    text = f"{WORDS} 😀"
    length = len(WORDS) + 3
    row = Document.objects.create(
        conversation=room,
        kind="code",
        language="python",
        title=f"{WORDS} document",
        version=3,
        text=text,
        text_version=2,
        created_by=user,
        client_id=uuid.uuid4(),
        field="notes",
    )
    updates: list[tuple[Any, dict[str, Any]]] = [
        ([[0, text]], {"author": user, "client_id": uuid.uuid4()}),
        ([length], {"run": run}),
        ([length, [0, "", "end"]], {"author": user}),
    ]
    for version, (changes, by) in enumerate(updates, 1):
        name = f"{WORDS} draft" if version == 1 else ""
        DocumentUpdate.objects.create(document=row, version=version, changes=changes, name=name, **by)
    for version, changes, decided_at in (
        (3, [length + 4, [0, f" {WORDS} proposed"]], None),
        (1, [length, [0, f" {WORDS} declined"]], timezone.now()),
    ):
        DocumentProposal.objects.create(document=row, version=version, changes=changes, run=run, decided_at=decided_at)
    Document.objects.create(
        conversation=room, kind="csv", title=f"{WORDS} deleted", created_by=user, deleted_at=timezone.now()
    )


def make_guest(user: Any) -> None:
    """Make a guest of a user without an account."""
    user.password = Guest.PASSWORD_PREFIX + "x"
    user.save()
    Guest.objects.create(user=user)


def missing_fields(lines: list[dict[str, Any]]) -> set[str]:
    """The fields of tables that no line has, as `table.field`."""
    seen = {(line["type"], key) for line in lines for key in line}
    tables = TABLES.values()
    return {f"{table.type}.{key}" for table in tables for key in table.keys.values() if (table.type, key) not in seen}
