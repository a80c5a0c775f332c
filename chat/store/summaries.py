"""Titles and summaries by a model: what it is given (called by `runs/postprocess.py`), and how the result is stored."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from msgspec import Struct

from .. import agents
from ..conf import conf
from ..engine.tokens import CHARS_PER_TOKEN
from ..graphemes import cut
from ..models import Conversation, Message, Run
from ..protocol.objects import Person
from . import prompts
from .base import lock_conversation, prompt_messages, read_by_seq
from .search import set_title
from .text import TITLE_CHARS, normalize_title, one_line, sanitize_text, truncate
from .unit_of_work import unit_of_work

MAX_EXCHANGE_CHARS = 2000
"""How much of the question, and how much of the answer, a title is made from."""

QUOTES = "#*_`\"'“”„«» \u2018\u2019\u201a"
"""What models put around a title."""

MAX_SUMMARY_CHARS = 8000


class Exchange(Struct, frozen=True):
    """What a title is made from. `text` holds a question and its answer, which is message `until`."""

    text: str
    until: int
    read_at: datetime


def find_first_exchange(conversation_id: UUID) -> Exchange | None:
    """The first question and its answer. None if the conversation has another title than its first words, or more than
    one complete answer.
    """
    rows = Conversation.objects.filter(pk=conversation_id, deleted_at=None, title_from=Conversation.TitleFrom.WORDS)
    completed = Run.objects.filter(conversation=conversation_id, status=Run.Status.COMPLETED)
    if not rows.exists() or completed.count() != 1:
        return None
    read_at = _wait_for_changes(conversation_id)
    answer = prompt_messages(conversation_id).filter(run__status=Run.Status.COMPLETED).first()
    if answer is None:
        return None
    questions = prompt_messages(conversation_id).filter(role=Message.Role.USER, seq__lt=answer.seq)
    question = questions.order_by("seq").first()
    if question is None or not answer.text:
        return None
    text = f"Question: {cut(question.text, MAX_EXCHANGE_CHARS)}\n\nAnswer: {cut(answer.text, MAX_EXCHANGE_CHARS)}"
    return Exchange(text, answer.seq, read_at)


def clean_title(text: str) -> str:
    """The first line of a model's answer without quotes and markup; empty if nothing remains."""
    lines = [line for line in sanitize_text(text).strip().splitlines() if line.strip()]
    title = one_line(lines[0]).strip(QUOTES).rstrip(".").strip() if lines else ""
    return normalize_title(truncate(title, TITLE_CHARS))


@unit_of_work()
def save_title(conversation_id: UUID, exchange: Exchange, title: str) -> bool:
    """Set a title. Returns False if a user has set one meanwhile, or changed or deleted a message it was made from."""
    rows = Conversation.objects.select_for_update().filter(pk=conversation_id, deleted_at=None)
    conversation = rows.filter(title_from=Conversation.TitleFrom.WORDS).first()
    if conversation is None or _was_changed(conversation, exchange):
        return False
    set_title(conversation, title, Conversation.TitleFrom.MODEL)
    conversation.save(update_fields=["title", "title_from"])
    return True


class SummaryInput(Struct, frozen=True):
    """What a summary is made from: the last one, which ends with message `since`, and the messages up to `until`."""

    text: str
    since: int
    until: int
    read_at: datetime


def find_summary_input(conversation_id: UUID, agent: str, omitted_seq: int) -> SummaryInput | None:
    """What the next summary has to cover: at least the messages up to `omitted_seq`, which do not fit into a prompt.
    None if the summary covers them already.

    It also covers the older half of what still fits. Otherwise, every new message would push one out of the prompt and
    need a new summary.
    """
    conversation = Conversation.objects.filter(pk=conversation_id, deleted_at=None).first()
    if conversation is None or conversation.summary_seq >= omitted_seq:
        return None
    read_at = _wait_for_changes(conversation_id)
    budget = agents.find(agent).history_tokens or conf.HISTORY_TOKENS
    newest_first = read_by_seq(prompt_messages(conversation_id).order_by("-seq"), 50)
    until = prompts.build_prompt(newest_first, budget // 2, agent).omitted_seq or omitted_seq
    max_chars = budget * CHARS_PER_TOKEN
    chars = 0
    lines: list[str] = []
    rows = prompt_messages(conversation_id).exclude(role=Message.Role.SYSTEM)
    rows = rows.filter(seq__gt=conversation.summary_seq, seq__lte=until)
    for row in read_by_seq(rows.order_by("seq"), 50):
        line = cut(f"{_speaker_name(row)}: {row.text}", max_chars)
        chars += len(line)
        if chars > max_chars and lines:
            until = row.seq - 1  # the next round covers the rest
            break
        lines.append(line)
    if not lines:
        return None
    so_far = f"Summary so far:\n{conversation.summary}\n\n" if conversation.summary else ""
    return SummaryInput(so_far + "Conversation:\n" + "\n\n".join(lines), conversation.summary_seq, until, read_at)


@unit_of_work()
def save_summary(conversation_id: UUID, source: SummaryInput, summary: str) -> bool:
    """Store a summary. Returns False if there is another by now, or a message that it covers was changed or deleted."""
    conversation = lock_conversation(conversation_id)
    summary = cut(sanitize_text(summary.strip()), MAX_SUMMARY_CHARS)
    if conversation.summary_seq != source.since or not summary or _was_changed(conversation, source):
        return False
    conversation.summary, conversation.summary_seq = summary, source.until
    conversation.save(update_fields=["summary", "summary_seq"])
    return True


@unit_of_work()
def _wait_for_changes(conversation_id: UUID) -> datetime:
    """Take the conversation lock, then return the time: earlier edits are visible to the reads that follow, later ones
    are caught by `_was_changed`.
    """
    lock_conversation(conversation_id)
    return timezone.now()


def _was_changed(conversation: Conversation, source: Exchange | SummaryInput) -> bool:
    changed = Q(edited_at__gte=source.read_at) | Q(deleted_at__gte=source.read_at)
    return Message.objects.filter(changed, conversation=conversation, seq__lte=source.until).exists()


def _speaker_name(row: Message) -> str:
    run = getattr(row, "run", None)
    if run is not None:
        return agents.find(run.agent).name
    return Person.of(row.author).name if row.author is not None else "Somebody"
