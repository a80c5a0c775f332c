"""The objects inside frames and JSON answers (docs/protocol.md, "Objects"), each made from its row by `of`.

They hold no queries: whoever reads the row selects what belongs to it (`store.py`).
"""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import UUID

from django.urls import reverse
from msgspec import Struct

from . import agents
from .conf import conf
from .engine import Usage as Usage

if TYPE_CHECKING:
    from . import models

Role = Literal["owner", "member", "viewer"]


class Person(Struct, frozen=True):
    id: str
    name: str

    @classmethod
    def of(cls, user: Any) -> Self:
        """`user` is any user model's row: its full name if it has one, else its username."""
        full_name = getattr(user, "get_full_name", str)()
        return cls(id=str(user.pk), name=full_name or user.get_username())


def person(user: Any | None) -> Person | None:
    return None if user is None else Person.of(user)


def usage(row: "models.Run") -> Usage | None:
    """A run's token counts; None where its provider sent none."""
    counts = [getattr(row, name) for name in Usage.__struct_fields__]
    return None if all(count is None for count in counts) else Usage(*counts)


class Failure(Struct, frozen=True):
    """Why a run did not complete. `retry_after` is in seconds."""

    code: str
    message: str
    retry_after: float | None = None


class AgentName(Struct, frozen=True):
    slug: str
    name: str


class Run(Struct, frozen=True):
    id: UUID
    conversation: UUID
    status: str
    place: int | None
    seq: int
    message: UUID | None
    agent: AgentName
    model: str
    launched_by: Person | None
    usage: Usage | None
    cost: Decimal | None
    finish_reason: str | None
    error: Failure | None
    stopped_by: Person | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: "models.Run") -> Self:
        return cls(
            id=row.id,
            conversation=row.conversation_id,
            status=row.status,
            place=row.place,
            seq=row.seq,
            message=row.message_id,
            agent=AgentName(row.agent, agents.find(row.agent).name),
            model=row.model,
            launched_by=person(row.launched_by),
            usage=usage(row),
            cost=row.cost,
            finish_reason=row.finish_reason,
            error=Failure(row.error_code, row.error_message, row.retry_after) if row.error_code else None,
            stopped_by=person(row.stopped_by),
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class Call(Struct, frozen=True):
    id: UUID
    name: str
    arguments: dict[str, Any] | None
    status: str
    result: str | None
    decided_by: Person | None

    @classmethod
    def of(cls, row: "models.ToolCall") -> Self:
        return cls(
            id=row.id,
            name=row.name,
            arguments=row.arguments,
            status=row.status,
            result=row.result,
            decided_by=person(row.decided_by),
        )


class Message(Struct, frozen=True):
    id: UUID
    conversation: UUID
    seq: int
    role: str
    text: str
    thinking: str
    author: Person | None
    client_id: UUID | None
    replaces: UUID | None
    created_at: datetime
    calls: tuple[Call, ...]
    run: Run | None

    @classmethod
    def of(cls, row: "models.Message") -> Self:
        run: models.Run | None = getattr(row, "run", None)
        return cls(
            id=row.id,
            conversation=row.conversation_id,
            seq=row.seq,
            role=row.role,
            text=row.text,
            thinking=row.thinking,
            author=person(row.author),
            client_id=row.client_id,
            replaces=row.replaces_id,
            created_at=row.created_at,
            calls=() if run is None else tuple(Call.of(call) for call in run.calls.all()),
            run=None if run is None else Run.of(run),
        )


class AgentCard(Struct, frozen=True):
    """What a page shows of an agent before it has said anything."""

    slug: str
    name: str
    model: str
    starters: tuple[str, ...]


class Conversation(Struct, frozen=True):
    id: UUID
    title: str
    agent: AgentCard
    mode: str
    last_seq: int
    running: bool
    url: str
    websocket: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: "models.Conversation", *, running: bool) -> Self:
        agent = agents.find(row.agent)
        return cls(
            id=row.id,
            title=row.title,
            agent=AgentCard(row.agent, agent.name, agents.model_of(agent), agent.starters),
            mode=row.mode,
            last_seq=row.last_seq,
            running=running,
            url=reverse("nous_chat:conversation", args=[row.id]),
            websocket=f"{conf.WEBSOCKET_URL}{row.id}/",
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class Participant(Struct, frozen=True):
    user: Person
    role: str

    @classmethod
    def of(cls, row: "models.Participant") -> Self:
        return cls(user=Person.of(row.user), role=row.role)


class You(Struct, frozen=True):
    """The person at this socket, and the role in this conversation."""

    id: str
    name: str
    role: str
