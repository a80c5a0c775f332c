"""Runs: their status, tool calls, token counts, and why they failed."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.utils.translation import gettext_noop
from msgspec import Struct

from ...engine import Usage
from ...i18n import in_site_language
from ...times import to_wire
from .conversations import AgentName
from .people import Person, person

if TYPE_CHECKING:
    from ... import models

FAILURES = {
    "abandoned": gettext_noop("Everyone had left the conversation."),
    "empty_answer": gettext_noop("The model gave no answer. Try again."),
    "host_lost": gettext_noop("The server restarted during this answer. Its last words may be missing."),
    "internal": gettext_noop("Something went wrong on our side. Try again."),
    "shutdown": gettext_noop("The server restarted during this answer."),
    "withheld": gettext_noop("This answer could not be checked, so it is not shown."),
}
"""Failures that the chat itself finds: the sentence for each code."""


class Failure(Struct, frozen=True):
    """Why a run did not complete."""

    code: str
    message: str
    retry_after: float | None = None
    """Seconds after which a retry may succeed."""

    @classmethod
    def from_code(cls, code: str) -> Self:
        """One of FAILURES, in the site's language."""
        return cls(code, in_site_language(FAILURES[code]))


def usage(row: "models.Run") -> Usage | None:
    """A run's token counts; None if its provider sent none."""
    counts = [getattr(row, name) for name in Usage.__struct_fields__]
    return None if all(count is None for count in counts) else Usage(*counts)


class Run(Struct, frozen=True):
    id: UUID
    conversation: UUID
    status: str
    place: int | None
    """Its place in the queue, from 1; None if it is not waiting."""
    seq: int
    """The number of its newest frame."""
    message: UUID | None
    agent: AgentName
    model: str
    launched_by: Person | None
    usage: Usage | None
    tokens: int | None
    cost: Decimal | None
    finish_reason: str | None
    cut_off: bool
    error: Failure | None
    stopped_by: Person | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    retry_in: float | None = None
    """Seconds until it asks its model again, which is busy; None if it does not wait for that. Never stored: only the
    process of the run knows it."""

    @classmethod
    def of(cls, row: "models.Run", answer_deleted: bool = False) -> Self:
        # An error may quote the model, so it goes with a deleted answer.
        show_error = row.error_code and not answer_deleted
        return cls(
            id=row.id,
            conversation=row.conversation_id,
            status=row.status,
            place=row.place,
            seq=row.seq,
            message=row.message_id,
            agent=AgentName.of(row.agent),
            model=row.model,
            launched_by=person(row.launched_by),
            usage=usage(row),
            tokens=row.tokens,
            cost=row.cost,
            finish_reason=row.finish_reason,
            cut_off=row.cut_off,
            error=Failure(row.error_code, row.error_message, row.retry_after) if show_error else None,
            stopped_by=person(row.stopped_by),
            created_at=to_wire(row.created_at),
            started_at=to_wire(row.started_at),
            finished_at=to_wire(row.finished_at),
        )


class Call(Struct, frozen=True):
    """A tool call, with its approval if the tool needs one."""

    id: UUID
    name: str
    arguments: dict[str, Any] | None
    status: str
    result: str | None
    expires_at: datetime | None = None
    decided_by: Person | None = None
    decided_at: datetime | None = None
    reason: str = ""
    changed: bool = False
    """Whether the arguments were changed in the approval."""

    @classmethod
    def of(cls, row: "models.ToolCall") -> Self:
        return cls(
            id=row.id,
            name=row.name,
            arguments=row.arguments,
            status=row.status,
            result=row.result,
            expires_at=to_wire(row.expires_at),
            decided_by=person(row.decided_by),
            decided_at=to_wire(row.decided_at),
            reason=row.reason,
            changed=row.changed,
        )
