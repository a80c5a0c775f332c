"""Change posted messages: edit (and send again), delete, restore, and list earlier texts."""

from bisect import bisect_left
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Min, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from ..conf import conf
from ..models import Conversation, Edit, Message, Run
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import (
    REACHABLE,
    check_can_post,
    get_membership,
    lock_membership,
    message_not_found,
    prompt_messages,
    read_message,
    run_in_progress,
    touch,
    with_related,
    writers_of,
)
from .guests import check_guest
from .messages import check_text
from .responders import Responders, add_waiting, check_responder, choose_responders
from .run_lifecycle import active_runs, queue_run
from .search import index_message, set_title
from .text import make_title
from .unit_of_work import unit_of_work

MAX_EDITS = 100
"""How many earlier texts of a message are listed: there is no limit on edits, and each text can be long."""


class Edited(Struct, frozen=True):
    """The edited message, the answers that are hidden now, and the run to start if it was sent again.

    `refused` says why agents that the message addresses do not answer.
    """

    message: objects.Message
    hidden: list[objects.Message] = []
    start: UUID | None = None
    refused: Refused | None = None


@unit_of_work()
def edit_message(
    user_id: Any,
    conversation_id: UUID,
    message_id: UUID,
    text: str,
    resend: bool,
    host: str | None,
    words: str | None = None,
    unattended: bool = False,
) -> Edited:
    """Change a user's own message and keep its earlier text. `words` and `unattended` are as for `post_message`.

    With `resend`, which only the last user message allows, the answers to it are hidden and a run is queued for `host`.
    """
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    check_can_post(participant)
    row = _get_message(conversation, message_id)
    if row.author_id != participant.user_id:
        raise Refused(ErrorCode.FORBIDDEN, _("You can only edit your own messages."))
    text = check_text(text, row.attachments.exists())
    hidden = _hide_answers(conversation, row) if resend else []
    if text != row.text or hidden:  # hidden answers stay reachable as those to an earlier version (`list_edits`)
        Edit.objects.create(message=row, text=row.text, edited_by=participant.user)
        _forget_derived_texts(conversation, row, text)
        row.text, row.edited_at = text, timezone.now()
        row.save(update_fields=["text", "edited_at"])
        index_message(row, words)
        touch(conversation)
    start, responders = None, Responders()
    if resend:
        check_guest(participant.user)
        writers = writers_of(conversation_id).count()
        responders = choose_responders(participant, conversation, text, row.reply_to, writers)
        slugs = responders.allowed or [check_responder(participant, conversation, *responders.forbidden[:1])]
        for slug in slugs[1:]:
            add_waiting(conversation, slug, participant.user_id, row.seq)
        conversation.save(update_fields=["waiting"])
        start = queue_run(conversation, slugs[0], participant.user_id, host, unattended=unattended).id
    return Edited(read_message(row.pk), hidden, start, responders.refused)


def _hide_answers(conversation: Conversation, row: Message) -> list[objects.Message]:
    later = Message.objects.filter(conversation=conversation, seq__gt=row.seq, shown=True)
    if later.filter(role=Message.Role.USER, deleted_at=None).exists():
        raise Refused(ErrorCode.CONFLICT, _("Only the last message can be sent again, and there is a newer one."))
    if active_runs(conversation.pk).exists():
        raise run_in_progress()
    answers = list(with_related(later.filter(role=Message.Role.ASSISTANT)).order_by("seq"))
    Message.objects.filter(pk__in=[answer.pk for answer in answers]).update(shown=False)
    for answer in answers:
        answer.shown = False
    return [objects.Message.of(answer) for answer in answers]


@unit_of_work()
def delete_message(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Message:
    """Delete a message; its place stays. Deleting it twice changes nothing.

    Deleting a question also deletes the hidden answers to its earlier texts, and deleting part of the first exchange
    replaces a title that a model made from it. Its words stay in the search index until the text is erased; no search
    reads them.
    """
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    row = _get_message(conversation, message_id, deleted=True)
    if not policy().can_delete(participant, row):
        raise Refused(ErrorCode.FORBIDDEN, _("Only the author or a conversation owner can delete this message."))
    if active_runs(conversation_id).filter(Q(message=row) | Q(replaces=row)).exists():
        raise Refused(ErrorCode.CONFLICT, _("This answer is in progress. Stop it first."))
    if row.deleted_at is None:
        _forget_derived_texts(conversation, row)
        row.deleted_at, row.deleted_by = timezone.now(), participant.user
        row.save(update_fields=["deleted_at", "deleted_by"])
        if row.role == Message.Role.USER:
            _superseded_answers(row).update(deleted_at=row.deleted_at, deleted_by=row.deleted_by)
        if conversation.title_from == Conversation.TitleFrom.MODEL and _title_may_contain(row, conversation):
            first = prompt_messages(conversation.pk).filter(role=Message.Role.USER).order_by("seq").first()
            _retitle(conversation, first.text if first else "")
        touch(conversation)
    return read_message(row.pk)


def _superseded_answers(question: Message) -> QuerySet[Message]:
    """The answers to a question's earlier texts: hidden when it was sent again, and not among any alternatives."""
    later = Message.objects.filter(conversation=question.conversation_id, seq__gt=question.seq)
    next_question = later.filter(role=Message.Role.USER, deleted_at=None).aggregate(seq=Min("seq"))["seq"]
    hidden = later.filter(role=Message.Role.ASSISTANT, shown=False, replaced_by=None, deleted_at=None)
    # Even if the chosen alternative is deleted, people can still choose the others.
    chosen = later.filter(shown=True, alternative_of__isnull=False)
    hidden = hidden.exclude(alternative_of__in=chosen.values("alternative_of"))
    return hidden if next_question is None else hidden.filter(seq__lt=next_question)


def _title_may_contain(row: Message, conversation: Conversation) -> bool:
    """True if a title that a model wrote may contain something of this message: it is made from the texts up to the
    first complete answer.
    """
    completed = Run.objects.filter(conversation=conversation, status=Run.Status.COMPLETED)
    first_answer = completed.aggregate(seq=Min("message__seq"))["seq"]
    return first_answer is None or row.seq <= first_answer


@unit_of_work()
def restore_message(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Message:
    """Undo a deletion: only for the user who deleted the message, within UNDO_SECONDS."""
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    check_can_post(participant)
    row = _get_message(conversation, message_id, deleted=True)
    if row.deleted_at is None:
        return read_message(row.pk)
    if row.deleted_by_id != participant.user_id:
        raise Refused(ErrorCode.FORBIDDEN, _("Only the person who deleted this message can restore it."))
    if row.deleted_at < timezone.now() - timedelta(seconds=conf.UNDO_SECONDS):
        raise Refused(ErrorCode.CONFLICT, _("It is too late to restore this message."))
    row.deleted_at = row.deleted_by = None
    row.save(update_fields=["deleted_at", "deleted_by"])
    if not conversation.title and row.role == Message.Role.USER:
        _retitle(conversation, row.text)
    touch(conversation)
    return read_message(row.pk)


def list_edits(user_id: Any, conversation_id: UUID, message_id: UUID) -> list[objects.Edit]:
    """The last MAX_EDITS earlier texts of a message, oldest first, each with the answers to it that are hidden now.

    Raises Refused(NOT_FOUND) if the message is deleted.
    """
    conversation = get_membership(user_id, conversation_id).conversation
    row = _get_message(conversation, message_id)
    newest = list(row.edits.select_related("edited_by").order_by("-pk")[: MAX_EDITS + 1])
    answers = with_related(_superseded_answers(row)).order_by("seq")
    if len(newest) > MAX_EDITS:
        answers = answers.filter(created_at__gte=newest.pop().edited_at)
    edits = newest[::-1]
    by_version: list[list[Message]] = [[] for _edit in edits]
    if edits and row.role == Message.Role.USER:
        for answer in answers:
            version = bisect_left(edits, answer.created_at, key=lambda edit: edit.edited_at)
            by_version[min(version, len(edits) - 1)].append(answer)
    return [objects.Edit.of(edit, found) for edit, found in zip(edits, by_version, strict=True)]


def _get_message(conversation: Conversation, message_id: UUID, *, deleted: bool = False) -> Message:
    """A message that people can reach. Raises Refused(NOT_FOUND)."""
    rows = Message.objects.filter(REACHABLE, conversation=conversation, pk=message_id)
    row = rows.exclude(role=Message.Role.SYSTEM).first()
    if row is None or (row.deleted_at is not None and not deleted):
        raise message_not_found()
    return row


def _forget_derived_texts(conversation: Conversation, row: Message, new_text: str = "") -> None:
    """Drop the summary and the title if they were made from this message's text: they must not outlive it. The caller
    saves the title.
    """
    if row.seq <= conversation.summary_seq:
        conversation.summary, conversation.summary_seq = "", 0
        conversation.save(update_fields=["summary", "summary_seq"])
    if conversation.title_from == Conversation.TitleFrom.WORDS and conversation.title == make_title(row.text):
        _retitle(conversation, new_text)


def _retitle(conversation: Conversation, text: str) -> None:
    title = make_title(text)
    set_title(conversation, title, Conversation.TitleFrom.WORDS if title else Conversation.TitleFrom.NOTHING)
