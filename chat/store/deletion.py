"""A conversation is renamed, pinned, archived, set up, deleted, restored; and what is left over is cleaned up."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import UNSET, Struct, UnsetType

from ..conf import conf
from ..models import Attachment, Conversation, Edit, Message, Participant, Passage, Run, ToolCall
from ..permissions import policy
from ..protocol import objects
from ..protocol.commands import Refused
from .attachments import KEPT_UNSENT
from .base import as_title, lock_as, membership, no_conversation
from .conversations import listing_of
from .run_lifecycle import active_runs, stop
from .search import set_title

TITLE_LENGTH = 200


class Changes(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants of a conversation. The last two are his own and nobody else's matter."""

    title: str | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    answers: str | UnsetType | None = UNSET
    agents: list[str] | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET

    @property
    def own(self) -> dict[str, bool]:
        given = {"pinned": self.pinned, "archived": self.archived}
        return {name: value for name, value in given.items() if not isinstance(value, UnsetType)}

    @property
    def common(self) -> bool:
        return any(value is not UNSET for value in (self.title, self.mode, self.answers, self.agents))


@transaction.atomic
def change_conversation(user_id: Any, conversation_id: UUID, changes: Changes) -> objects.Conversation:
    """Returns the conversation as this person has it. Raises Refused, and then has changed nothing."""
    participant = (lock_as if changes.common else membership)(user_id, conversation_id)
    if changes.common:
        if not policy().can_manage(participant):
            raise Refused("forbidden", _("Only an owner of the conversation can change that."))
        _set_up(participant.conversation, changes)
    if changes.own:
        Participant.objects.filter(pk=participant.pk).update(**changes.own)
    changed = listing_of(user_id, conversation_id)
    assert changed is not None
    return changed


def _set_up(conversation: Conversation, changes: Changes) -> None:
    if not isinstance(changes.title, UnsetType):
        title = as_title(changes.title)
        if len(title) > TITLE_LENGTH:
            raise Refused("too_large", _("A title may have at most %(most)s characters.") % {"most": TITLE_LENGTH})
        set_title(conversation, title, Conversation.TitleFrom.PERSON if title else Conversation.TitleFrom.NOTHING)
    if not isinstance(changes.mode, UnsetType):
        conversation.mode = _one_of("mode", changes.mode, Conversation.Mode.values)
    if not isinstance(changes.answers, UnsetType):
        conversation.answers = _one_of("answers", changes.answers or "", ["", *Conversation.Answers.values])
    if not isinstance(changes.agents, UnsetType):
        slugs = list(dict.fromkeys(changes.agents))
        if not slugs:
            raise Refused("invalid", _("A conversation needs at least one agent. It can be told to answer never."))
        for slug in slugs:
            _one_of("agents", slug, list(conf.AGENTS))
        conversation.agent, conversation.other_agents = slugs[0], slugs[1:]
    conversation.save(update_fields=["title", "title_from", "mode", "answers", "agent", "other_agents"])


def _one_of(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise Refused("invalid", f"`{name}` has to be one of {', '.join(filter(None, known))}.")
    return value


class Deleted(Struct, frozen=True):
    """The people whose conversation it was, and the run that its process has to be told to stop."""

    audience: list[Any]
    stop: UUID | None


@transaction.atomic
def delete_conversation(user_id: Any, conversation_id: UUID) -> Deleted:
    """For all. Within UNDO_SECONDS it can be restored; until then nobody finds it."""
    participant = lock_as(user_id, conversation_id)
    conversation = participant.conversation
    if not policy().can_manage(participant):
        raise Refused("forbidden", _("Only an owner of the conversation can delete it."))
    active = active_runs(conversation_id).first()
    to_stop = None if active is None or stop(active, participant.user_id) else active.id
    conversation.deleted_at, conversation.waiting = timezone.now(), []
    conversation.save(update_fields=["deleted_at", "waiting"])
    audience = Participant.objects.filter(conversation=conversation).values_list("user_id", flat=True)
    return Deleted(list(audience), to_stop)


@transaction.atomic
def restore_conversation(user_id: Any, conversation_id: UUID) -> objects.Conversation:
    """An owner takes the deletion back. Restoring what is there changes nothing."""
    rows = Participant.objects.select_related("user", "conversation")
    participant = rows.filter(user=user_id, conversation=conversation_id).first()
    if participant is None or not policy().can_see(participant):
        raise no_conversation()
    deleted_at = participant.conversation.deleted_at
    if deleted_at is not None:
        if not policy().can_manage(participant) or deleted_at < timezone.now() - timedelta(seconds=conf.UNDO_SECONDS):
            raise no_conversation()
        Conversation.objects.filter(pk=conversation_id).update(deleted_at=None)
    restored = listing_of(user_id, conversation_id)
    assert restored is not None
    return restored


SOME = 100
"""How many rows of a kind one call of `clean` takes, so that nobody waits for it for long."""


_SAYS_SOMETHING = (
    Q(text__gt="")
    | Q(thinking__gt="")
    | Q(run__transcript__gt="")
    | Q(run__error_message__gt="")
    | Q(run__calls__arguments__isnull=False)
    | Q(run__calls__result__gt="")
    | Q(run__calls__reason__gt="")
    | Q(replaces__isnull=False, replaces__deleted_at=None)
)
"""An answer may be nothing but its calls, or the rest of another one."""


def clean() -> int:
    """Erase for good what was deleted more than UNDO_SECONDS ago, and files that nobody has sent within a day. Returns
    how many rows that were: while it is not 0, there may be more.
    """
    until = timezone.now() - timedelta(seconds=conf.UNDO_SECONDS)
    done = 0
    gone = Conversation.objects.filter(deleted_at__lt=until).exclude(runs__status__in=Run.ACTIVE)
    for pk in gone.values_list("pk", flat=True)[:SOME]:
        if done >= SOME:
            return done
        with transaction.atomic():
            messages = Message.objects.filter(conversation=pk).values_list("pk", flat=True)
            done += Message.objects.filter(pk__in=list(messages[: SOME - done])).delete()[0]
            if done >= SOME:
                return done
            done += Conversation.objects.filter(pk=pk).delete()[0]
    with transaction.atomic():
        said = Message.objects.filter(deleted_at__lt=until)
        texts = said.filter(_SAYS_SOMETHING).values_list("pk", flat=True).distinct()
        left = Q(message__in=said) | Q(message=None, created_at__lt=timezone.now() - KEPT_UNSENT)
        files = Attachment.objects.filter(left).values_list("pk", flat=True)
        edits = Edit.objects.filter(message__in=said).values_list("pk", flat=True)
        done += Attachment.objects.filter(pk__in=list(files[:SOME])).delete()[0]
        done += Edit.objects.filter(pk__in=list(edits[:SOME])).delete()[0]
        erased = list(texts[:SOME])
        ToolCall.objects.filter(run__message__in=erased).update(arguments=None, result=None, reason="")
        Run.objects.filter(message__in=erased).update(transcript="", error_message="")
        Passage.objects.filter(message__in=erased).delete()
        done += Message.objects.filter(pk__in=erased).update(text="", thinking="")
        # What went on in these answers is their beginning: the next call takes it.
        Message.objects.filter(replaced_by__in=erased, deleted_at=None).update(deleted_at=until - timedelta(seconds=1))
    return done
