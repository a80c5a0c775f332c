"""Changes that users push to a document's log: those that wait for the same document are stored in one transaction."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from django.utils.translation import override
from msgspec import Struct
from msgspec.structs import replace

from ..documents.changesets import ChangeSet
from ..models import Document, DocumentUpdate
from ..protocol import objects
from ..protocol.errors import Refused
from .base import conversation_not_found, get_memberships
from .document_log import LogWriter, PushedChange, check_can_write, document_not_found, lock_document
from .prepared import Param, SelectIn
from .unit_of_work import unit_of_work


class Push(Struct, frozen=True):
    """A user's change of the version `version`. Pushing a `client_id` again changes nothing. With `rebase`, the change
    is mapped over what came after that version. `language` is that of a refusal; empty for the active one.
    """

    user_id: Any
    conversation_id: UUID
    document_id: UUID
    version: int
    changes: ChangeSet
    client_id: UUID | None = None
    rebase: bool = False
    language: str = ""


def push_changes(
    user_id: Any, conversation_id: UUID, document_id: UUID, version: int, changes: ChangeSet, client_id: UUID | None
) -> PushedChange:
    """Append one change. Raises Refused: STALE if there is a newer version, INVALID if the change does not fit,
    CONFLICT inside what an agent is writing.
    """
    (outcome,) = push_together([Push(user_id, conversation_id, document_id, version, changes, client_id)])
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


@unit_of_work()
def push_together(pushes: Sequence[Push]) -> list[PushedChange | Refused]:
    """Append changes to one document of one conversation in one transaction, 50 at most. Returns what became of each.
    With `rebase` too, that is STALE if the version is so old that this process no longer knows what came after it.
    """
    conversation_id, document_id = pushes[0].conversation_id, pushes[0].document_id
    row = lock_document(conversation_id, document_id)
    members = get_memberships([push.user_id for push in pushes], conversation_id)
    earlier = {} if row is None else _find_earlier(row, pushes)
    log = None if row is None else LogWriter(row)
    outcomes: list[PushedChange | Refused] = []
    together: list[PushedChange] = []
    for push in pushes:
        key = push.user_id, push.client_id
        try:
            with override(push.language) if push.language else nullcontext():
                participant = members.get(push.user_id)
                if participant is None:
                    raise conversation_not_found()
                if row is None or log is None:
                    raise document_not_found()
                if key in earlier:
                    outcomes.append(replace(earlier[key], writing=objects.find_writing(row)))
                    continue
                check_can_write(participant)
                by = {"author": participant.user, "client_id": push.client_id}
                pushed = log.push(push.version, push.changes, by, push.rebase)
        except Refused as refused:
            outcomes.append(refused)
            continue
        if push.client_id is not None:
            earlier[key] = replace(pushed, repeated=True)
        together.append(pushed)
        outcomes.append(pushed)
    if log is not None and together:
        log.save()
        outcomes[outcomes.index(together[0])] = replace(together[0], together=together)
    return outcomes


def _find_earlier(row: Document, pushes: Sequence[Push]) -> dict[tuple[Any, UUID | None], PushedChange]:
    """What is in the log already, by its author and `client_id`."""
    named = [push for push in pushes if push.client_id is not None]
    if not named:
        return {}
    found = _EARLIER.all([push.user_id for push in named], [push.client_id for push in named], document=row.pk)
    return {
        (update.author_id, update.client_id): PushedChange(objects.DocumentUpdate.of(update), None, repeated=True)
        for update in found
    }


_EARLIER = SelectIn(
    DocumentUpdate,
    ("author", "client_id"),
    lambda is_author, is_one: (
        DocumentUpdate.objects.select_related("author")
        .filter(is_author, is_one, document=Param("document", DocumentUpdate, "document"))
        .order_by()
    ),
)
