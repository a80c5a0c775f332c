"""Changes that agents propose to people who asked about a selected part of a document."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from .. import agents
from ..documents.changesets import ChangeSet, InvalidChange
from ..documents.unified_diff import make_unified_diff
from ..i18n import format_number
from ..models import DocumentProposal
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import get_membership
from .document_log import check_can_write, document_not_found, lock_document
from .document_runs import get_running
from .document_snapshots import read_text_at
from .documents import find_readable
from .unit_of_work import unit_of_work

MAX_PROPOSALS = 50
"""How many proposals of a document can wait for a decision."""


@unit_of_work()
def propose_change(
    run_id: UUID, host: str, proposal_id: UUID, document_id: UUID, version: int, changes: ChangeSet
) -> objects.DocumentProposal:
    """Propose a change of the version `version`, by the agent of a run that this host makes, under this id. Proposing
    it again changes nothing. Raises Refused.
    """
    run = get_running(run_id, host)
    earlier = DocumentProposal.objects.select_related("run").filter(pk=proposal_id, document=document_id).first()
    if earlier is not None:
        return objects.DocumentProposal.of(earlier)
    row = lock_document(run.conversation_id, document_id)
    if row is None or version > row.version:
        raise document_not_found()
    try:
        changes.apply(read_text_at(row, version))
    except InvalidChange as error:
        raise Refused(ErrorCode.INVALID, f"{error}.") from None
    if DocumentProposal.objects.filter(document=row, decided_at=None).count() >= MAX_PROPOSALS:
        raise Refused(
            ErrorCode.CONFLICT,
            _("%(most)s proposed changes of this document wait for a decision. Decide on them first.")
            % {"most": format_number(MAX_PROPOSALS)},
        )
    proposal = DocumentProposal.objects.create(
        id=proposal_id, document=row, version=version, changes=changes.to_json(), run=run
    )
    return objects.DocumentProposal.of(proposal)


def list_proposals(user_id: Any, document_id: UUID) -> list[objects.DocumentProposal]:
    """The proposals of a document that nobody has decided on, oldest first. Raises Refused(NOT_FOUND)."""
    row = find_readable(user_id, document_id)
    waiting = (
        DocumentProposal.objects.filter(document=row, decided_at=None)
        .select_related("run")
        .order_by("created_at", "pk")
    )
    return [objects.DocumentProposal.of(each) for each in waiting]


def describe_proposal(row: DocumentProposal, max_chars: int) -> tuple[str, str]:
    """Which agent proposes a change, and the change as a unified diff of up to `max_chars` characters."""
    text = read_text_at(row.document, row.version)
    diff, _whole = make_unified_diff(text, ChangeSet.parse(row.changes).apply(text), max_chars)
    return agents.find(row.run.agent).name if row.run else "", diff


@unit_of_work()
def resolve_proposal(user_id: Any, conversation_id: UUID, document_id: UUID, proposal_id: UUID) -> None:
    """Take a proposal out of those that wait: a user has decided on it, and has pushed what they accept of it. Raises
    Refused.
    """
    row = lock_document(conversation_id, document_id)
    participant = get_membership(user_id, conversation_id)
    if row is None:
        raise document_not_found()
    check_can_write(participant)
    waiting = DocumentProposal.objects.filter(document=row, pk=proposal_id, decided_at=None)
    if not waiting.update(decided_at=timezone.now()):
        raise Refused(ErrorCode.NOT_FOUND, _("Somebody has already decided on this proposal."))
