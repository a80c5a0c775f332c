"""What the models of `asides.py` are asked about, and what becomes of their answers."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from msgspec import Struct

from .. import agents
from ..conf import conf
from ..engine.tokens import CHARS_PER_TOKEN
from ..models import Conversation, Message, Run
from ..protocol.objects import Person
from . import prompts
from .base import lock_conversation, prompt_messages
from .search import set_title
from .text import TITLE_CHARS, sanitize_text

MAX_EXCHANGE_CHARS = 2000
"""How much of a question and of its answer a title is made from, each."""

QUOTES = "#*_`\"'“”„«» \u2018\u2019\u201a"

MAX_SUMMARY_CHARS = 8000


class Exchange(Struct, frozen=True):
    """`text` holds a question and its answer, which is message `until`."""

    text: str
    until: int
    read_at: datetime


def find_first_exchange(conversation_id: UUID) -> Exchange | None:
    """The first question and its answer, where the title is still the first words and no other answer is complete."""
    rows = Conversation.objects.filter(pk=conversation_id, deleted_at=None, title_from=Conversation.TitleFrom.WORDS)
    complete = Run.objects.filter(conversation=conversation_id, status=Run.Status.COMPLETED)
    if not rows.exists() or complete.count() != 1:
        return None
    read_at = _wait_for_changes(conversation_id)
    answer = prompt_messages(conversation_id).filter(run__status=Run.Status.COMPLETED).first()
    if answer is None:
        return None
    question = (
        prompt_messages(conversation_id).filter(role=Message.Role.USER, seq__lt=answer.seq).order_by("seq").first()
    )
    if question is None or not answer.text:
        return None
    text = f"Question: {question.text[:MAX_EXCHANGE_CHARS]}\n\nAnswer: {answer.text[:MAX_EXCHANGE_CHARS]}"
    return Exchange(text, answer.seq, read_at)


def clean_title(text: str) -> str:
    """One line without what models put around a title; empty where nothing is left."""
    lines = [line for line in sanitize_text(text).strip().splitlines() if line.strip()]
    title = " ".join(lines[0].split()).strip(QUOTES).rstrip(".").strip() if lines else ""
    return title if len(title) <= TITLE_CHARS else title[: TITLE_CHARS - 1].rstrip() + "…"


@transaction.atomic
def save_title(conversation_id: UUID, of: Exchange, title: str) -> bool:
    """Unless somebody gave it one meanwhile, or something of what it was made from was changed or deleted."""
    rows = Conversation.objects.select_for_update().filter(pk=conversation_id, deleted_at=None)
    conversation = rows.filter(title_from=Conversation.TitleFrom.WORDS).first()
    if conversation is None or _was_changed(conversation, of):
        return False
    set_title(conversation, title, Conversation.TitleFrom.MODEL)
    conversation.save(update_fields=["title", "title_from"])
    return True


class SummaryInput(Struct, frozen=True):
    """`text` holds the summary so far, which ends with message `since`, and what was said after it, up to `until`."""

    text: str
    since: int
    until: int
    read_at: datetime


def find_summary_input(conversation_id: UUID, agent: str, omitted_seq: int) -> SummaryInput | None:
    """What a new summary has to take in: at least what fell out. It reaches to half of what still fits, so that the
    next one is due when half a history has come in, not after every message. None where there is nothing to do.
    """
    conversation = Conversation.objects.filter(pk=conversation_id, deleted_at=None).first()
    if conversation is None or conversation.summary_seq >= omitted_seq:
        return None
    read_at = _wait_for_changes(conversation_id)
    budget = agents.find(agent).history_tokens or conf.HISTORY_TOKENS
    until = (
        prompts.build_prompt(
            prompt_messages(conversation_id).order_by("-seq").iterator(chunk_size=50), budget // 2, agent
        ).omitted_seq
        or omitted_seq
    )
    left = budget * CHARS_PER_TOKEN
    lines: list[str] = []
    rows = (
        prompt_messages(conversation_id)
        .exclude(role=Message.Role.SYSTEM)
        .filter(seq__gt=conversation.summary_seq, seq__lte=until)
    )
    for row in rows.order_by("seq").iterator(chunk_size=50):
        line = f"{_speaker_name(row)}: {row.text}"[: budget * CHARS_PER_TOKEN]
        left -= len(line)
        if left < 0 and lines:
            until = row.seq - 1
            break
        lines.append(line)
    if not lines:
        return None
    so_far = f"Summary so far:\n{conversation.summary}\n\n" if conversation.summary else ""
    return SummaryInput(so_far + "Conversation:\n" + "\n\n".join(lines), conversation.summary_seq, until, read_at)


@transaction.atomic
def save_summary(conversation_id: UUID, of: SummaryInput, summary: str) -> bool:
    """Unless there is another meanwhile, or something of what it sums up was changed or deleted."""
    conversation = lock_conversation(conversation_id)
    summary = sanitize_text(summary.strip())[:MAX_SUMMARY_CHARS]
    if conversation.summary_seq != of.since or not summary or _was_changed(conversation, of):
        return False
    conversation.summary, conversation.summary_seq = summary, of.until
    conversation.save(update_fields=["summary", "summary_seq"])
    return True


@transaction.atomic
def _wait_for_changes(conversation_id: UUID) -> datetime:
    """Now, but after whoever was changing something: what was changed before is what is read from here on, and what is
    changed later is `_taken_back`.
    """
    lock_conversation(conversation_id)
    return timezone.now()


def _was_changed(conversation: Conversation, of: Exchange | SummaryInput) -> bool:
    changed = Q(edited_at__gte=of.read_at) | Q(deleted_at__gte=of.read_at)
    return Message.objects.filter(changed, conversation=conversation, seq__lte=of.until).exists()


def _speaker_name(row: Message) -> str:
    run = getattr(row, "run", None)
    if run is not None:
        return agents.find(run.agent).name
    return Person.of(row.author).name if row.author is not None else "Somebody"
