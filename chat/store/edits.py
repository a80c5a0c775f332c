"""What people do with messages that are there: edit (and ask again), delete, restore."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Min, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from ..conf import conf
from ..models import Conversation, Edit, Message, Run
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import check_can_post, get_membership, lock_membership, prompt_messages, touch, with_related
from .messages import check_text, make_title
from .responders import Responders, add_waiting, check_responder, choose_responders
from .run_lifecycle import active_runs, queue_run
from .search import index_messages, set_title, unindex_message

MAX_EDITS = 100
"""How many former texts of one message are read: it may be edited without end, and each may be long."""


class Edited(Struct, frozen=True):
    """A message as it is now; the answers that are not shown any more, and the run that is to answer anew. `refused`
    says why other agents that it speaks to do not.
    """

    message: objects.Message
    hidden: list[objects.Message] = []
    start: UUID | None = None
    refused: Refused | None = None


@transaction.atomic
def edit_message(
    user_id: Any, conversation_id: UUID, message_id: UUID, text: str, resend: bool, host: str | None
) -> Edited:
    """A person changes a message of his own; what it said before is kept. With `resend`, which has to be the last thing
    that a person has said, the answers to it are hidden, and a run is queued for `host`.
    """
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    check_can_post(participant)
    row = _get_message(conversation, message_id)
    if row.author_id != participant.user_id:
        raise Refused(ErrorCode.FORBIDDEN, _("You can edit your own messages only."))
    text = check_text(text, row.attachments.exists())
    if text != row.text:
        Edit.objects.create(message=row, text=row.text, edited_by=participant.user)
        _forget_derived_texts(conversation, row, text)
        row.text, row.edited_at = text, timezone.now()
        row.save(update_fields=["text", "edited_at"])
        unindex_message(row)
        index_messages([row])
        touch(conversation)
    hidden, start, found = [], None, Responders()
    if resend:
        hidden = _hide_answers(conversation, row)
        found = choose_responders(participant, conversation, text, row.reply_to)
        ask = found.allowed or [check_responder(participant, conversation, *found.forbidden[:1])]
        for slug in ask[1:]:
            add_waiting(conversation, slug, participant.user_id, row.seq)
        conversation.save(update_fields=["waiting"])
        start = queue_run(conversation, ask[0], participant.user_id, host).id
    return Edited(_read_message(row), hidden, start, found.refused)


def _hide_answers(conversation: Conversation, row: Message) -> list[objects.Message]:
    later = Message.objects.filter(conversation=conversation, seq__gt=row.seq, shown=True)
    if later.filter(role=Message.Role.USER, deleted_at=None).exists():
        raise Refused(ErrorCode.CONFLICT, _("Somebody has written since. Only the last message can be sent again."))
    if active_runs(conversation.pk).exists():
        raise Refused(ErrorCode.CONFLICT, _("An answer is being made. Wait for it, or stop it first."))
    answers = list(with_related(later.filter(role=Message.Role.ASSISTANT)).order_by("seq"))
    Message.objects.filter(pk__in=[answer.pk for answer in answers]).update(shown=False)
    for answer in answers:
        answer.shown = False
    return [objects.Message.of(answer) for answer in answers]


@transaction.atomic
def delete_message(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Message:
    """Its place stays, its text goes to nobody any more. With a question go the answers to what it said before it was
    sent again; with a part of the first exchange goes a title that a model made of it. Deleting twice changes nothing.
    """
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    row = _get_message(conversation, message_id, deleted=True)
    if not policy().can_delete(participant, row):
        raise Refused(
            ErrorCode.FORBIDDEN, _("Only who wrote it, or an owner of the conversation, can delete this message.")
        )
    if active_runs(conversation_id).filter(Q(message=row) | Q(replaces=row)).exists():
        raise Refused(ErrorCode.CONFLICT, _("This answer is being made. Stop it first."))
    if row.deleted_at is None:
        _forget_derived_texts(conversation, row)
        unindex_message(row)
        row.deleted_at, row.deleted_by = timezone.now(), participant.user
        row.save(update_fields=["deleted_at", "deleted_by"])
        if row.role == Message.Role.USER:
            _superseded_answers(row).update(deleted_at=row.deleted_at, deleted_by=row.deleted_by)
        if conversation.title_from == Conversation.TitleFrom.MODEL and _shaped_title(conversation, row):
            left = prompt_messages(conversation.pk).filter(role=Message.Role.USER).order_by("seq").first()
            _retitle(conversation, left.text if left else "")
        touch(conversation)
    return _read_message(row)


def _superseded_answers(question: Message) -> QuerySet[Message]:
    """The answers to what a question said before it was sent again: nobody sees or finds them."""
    later = Message.objects.filter(conversation=question.conversation_id, seq__gt=question.seq)
    following = later.filter(role=Message.Role.USER, deleted_at=None).aggregate(seq=Min("seq"))["seq"]
    hidden = later.filter(role=Message.Role.ASSISTANT, shown=False, replaced_by=None, deleted_at=None)
    chosen = later.filter(shown=True, alternative_of__isnull=False)  # deleted or not: the others can be chosen still
    hidden = hidden.exclude(alternative_of__in=chosen.values("alternative_of"))
    return hidden if following is None else hidden.filter(seq__lt=following)


def _shaped_title(conversation: Conversation, row: Message) -> bool:
    """Models make titles of what was said up to the first complete answer, which a copy of the question lacks."""
    complete = Run.objects.filter(conversation=conversation, status=Run.Status.COMPLETED)
    answer = complete.aggregate(seq=Min("message__seq"))["seq"]
    return answer is None or row.seq <= answer


@transaction.atomic
def restore_message(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Message:
    """Who deleted it takes that back, within UNDO_SECONDS."""
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    check_can_post(participant)
    row = _get_message(conversation, message_id, deleted=True)
    if row.deleted_at is None:
        return _read_message(row)
    if row.deleted_by_id != participant.user_id:
        raise Refused(ErrorCode.FORBIDDEN, _("Only who deleted this message can restore it."))
    if row.deleted_at < timezone.now() - timedelta(seconds=conf.UNDO_SECONDS):
        raise Refused(ErrorCode.CONFLICT, _("It is too late: this message was deleted for good."))
    row.deleted_at = row.deleted_by = None
    row.save(update_fields=["deleted_at", "deleted_by"])
    index_messages([row])
    if not conversation.title and row.role == Message.Role.USER:
        _retitle(conversation, row.text)
    touch(conversation)
    return _read_message(row)


def list_edits(user_id: Any, conversation_id: UUID, message_id: UUID) -> list[objects.Edit]:
    """What a message said before, oldest first, of the last EDITS times; nothing of one that is deleted."""
    conversation = get_membership(user_id, conversation_id).conversation
    row = _get_message(conversation, message_id)
    newest = row.edits.select_related("edited_by").order_by("-pk")[:MAX_EDITS]
    return [objects.Edit.of(edit) for edit in reversed(list(newest))]


def _get_message(conversation: Conversation, message_id: UUID, *, deleted: bool = False) -> Message:
    """A message that people wrote or an agent, deleted or not."""
    shown = Q(shown=True) | Q(alternative_of__isnull=False)
    rows = Message.objects.filter(shown, conversation=conversation, pk=message_id)
    row = rows.exclude(role=Message.Role.SYSTEM).first()
    if row is None or (row.deleted_at is not None and not deleted):
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such message in this conversation."))
    return row


def _forget_derived_texts(conversation: Conversation, row: Message, instead: str = "") -> None:
    """What was made of a message's text is not to outlive it: the caller saves the conversation."""
    if row.seq <= conversation.summary_seq:
        conversation.summary, conversation.summary_seq = "", 0
        conversation.save(update_fields=["summary", "summary_seq"])
    if conversation.title_from == Conversation.TitleFrom.WORDS and conversation.title == make_title(row.text):
        _retitle(conversation, instead)


def _retitle(conversation: Conversation, text: str) -> None:
    words = make_title(text)
    set_title(conversation, words, Conversation.TitleFrom.WORDS if words else Conversation.TitleFrom.NOTHING)


def _read_message(row: Message) -> objects.Message:
    return objects.Message.of(with_related(Message.objects.filter(pk=row.pk)).get())
