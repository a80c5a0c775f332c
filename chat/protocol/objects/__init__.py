"""The objects inside frames and JSON answers (docs/protocol.md, "Objects"), each made from its row by `of`.

They hold no queries: whoever reads the row selects what belongs to it (`store.py`).
"""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext_noop
from msgspec import Struct

from ... import agents
from ...conf import conf
from ...engine import Usage as Usage
from ...fulltext import excerpt
from ...i18n import in_site_language

if TYPE_CHECKING:
    from ... import models

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


OURS = {
    "abandoned": gettext_noop("Everybody had left the conversation."),
    "host_lost": gettext_noop("The server that was writing this answer ended. What it had written is kept."),
    "internal": gettext_noop("Something went wrong here. It has been logged; try again."),
    "shutdown": gettext_noop("The server was restarted while this answer was being written."),
}


class Failure(Struct, frozen=True):
    """Why a run did not complete. `retry_after` is in seconds."""

    code: str
    message: str
    retry_after: float | None = None

    @classmethod
    def ours(cls, code: str) -> Self:
        """One that no provider is to blame for."""
        return cls(code, in_site_language(OURS[code]))


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
    tokens: int | None
    cost: Decimal | None
    finish_reason: str | None
    cut_off: bool
    error: Failure | None
    stopped_by: Person | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: "models.Run", there: bool = True) -> Self:
        """`there`: its answer was not deleted; an error may hold what the model said."""
        failure = Failure(row.error_code, row.error_message, row.retry_after) if there and row.error_code else None
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
            tokens=row.tokens,
            cost=row.cost,
            finish_reason=row.finish_reason,
            cut_off=row.cut_off,
            error=failure,
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
    expires_at: datetime | None = None
    decided_by: Person | None = None
    decided_at: datetime | None = None
    reason: str = ""
    changed: bool = False

    @classmethod
    def of(cls, row: "models.ToolCall") -> Self:
        return cls(
            id=row.id,
            name=row.name,
            arguments=row.arguments,
            status=row.status,
            result=row.result,
            expires_at=row.expires_at,
            decided_by=person(row.decided_by),
            decided_at=row.decided_at,
            reason=row.reason,
            changed=row.changed,
        )


class Attachment(Struct, frozen=True):
    id: UUID
    name: str
    type: str
    size: int
    url: str
    image: bool

    @classmethod
    def of(cls, row: "models.Attachment") -> Self:
        url = reverse("nous_chat:attachment", args=[row.id])
        return cls(id=row.id, name=row.name, type=row.type, size=row.size, url=url, image=row.is_image)


class Message(Struct, frozen=True):
    id: UUID
    conversation: UUID
    seq: int
    role: str
    text: str
    thinking: str
    author: Person | None
    client_id: UUID | None
    reply_to: UUID | None
    replaces: UUID | None
    continues: bool
    alternatives: tuple[UUID, ...]
    shown: bool
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    deleted_by: Person | None
    attachments: tuple[Attachment, ...]
    calls: tuple[Call, ...]
    run: Run | None

    @classmethod
    def of(cls, row: "models.Message") -> Self:
        """Of a deleted message, nothing that was said goes out."""
        run: models.Run | None = getattr(row, "run", None)
        first = row.alternative_of
        there = row.deleted_at is None
        again = run.replaces_id if run is not None and run.status in run.ACTIVE else None
        return cls(
            id=row.id,
            conversation=row.conversation_id,
            seq=row.seq,
            role=row.role,
            text=row.text if there else "",
            thinking=row.thinking if there else "",
            author=person(row.author),
            client_id=row.client_id,
            reply_to=row.reply_to_id,
            replaces=row.replaces_id or again,
            continues=row.replaces_id is not None,
            alternatives=() if first is None else tuple(each.id for each in first.alternatives.all()),
            shown=row.shown,
            created_at=row.created_at,
            edited_at=row.edited_at,
            deleted_at=row.deleted_at,
            deleted_by=person(row.deleted_by),
            attachments=tuple(map(Attachment.of, row.attachments.all())) if there and run is None else (),
            calls=tuple(map(Call.of, run.calls.all())) if there and run is not None else (),
            run=None if run is None else Run.of(run, there),
        )


class Edit(Struct, frozen=True):
    """What a message said before it was edited at `edited_at`."""

    text: str
    edited_by: Person | None
    edited_at: datetime

    @classmethod
    def of(cls, row: "models.Edit") -> Self:
        return cls(row.text, person(row.edited_by), row.edited_at)


class AgentCard(Struct, frozen=True):
    """What a page shows of an agent before it has said anything."""

    slug: str
    name: str
    model: str
    starters: tuple[str, ...]

    @classmethod
    def of(cls, slug: str) -> Self:
        agent = agents.find(slug)
        return cls(slug, agent.name, agents.model_of(agent), agent.starters)


class Yours(Struct, frozen=True):
    """A conversation as one person has it."""

    role: str
    unread: int
    last_read: int
    pinned: bool
    archived: bool

    @classmethod
    def of(cls, row: "models.Participant", unread: int) -> Self:
        return cls(row.role, unread, row.last_read, row.pinned, row.archived)


class Conversation(Struct, frozen=True):
    id: UUID
    title: str
    agent: AgentCard
    agents: tuple[AgentCard, ...]
    answers: str
    mode: str
    last_seq: int
    running: bool
    awaiting_approval: bool
    url: str
    websocket: str
    created_at: datetime
    updated_at: datetime
    yours: Yours | None

    @classmethod
    def of(cls, row: "models.Conversation", *, run: str | None, talkers: int, yours: Yours | None = None) -> Self:
        """`run` is the status of the active one, `talkers` is how many people may write in it."""
        cards = tuple(map(AgentCard.of, row.agents))
        return cls(
            id=row.id,
            title=row.title,
            agent=cards[0],
            agents=cards,
            answers=row.answers_of(talkers),
            mode=row.mode,
            last_seq=row.last_seq,
            running=run is not None,
            awaiting_approval=run == "awaiting_approval",
            url=reverse("nous_chat:conversation", args=[row.id]),
            websocket=f"{conf.WEBSOCKET_URL}{row.id}/",
            created_at=row.created_at,
            updated_at=row.updated_at,
            yours=yours,
        )


class FoundConversation(Struct, frozen=True):
    id: UUID
    title: str
    url: str


class FoundMessage(Struct, frozen=True):
    id: UUID
    seq: int
    role: str
    author: Person | None
    created_at: datetime

    @classmethod
    def of(cls, row: "models.Message") -> Self:
        return cls(row.id, row.seq, row.role, person(row.author), row.created_at)


class Found(Struct, frozen=True):
    """A result of the search. `message` is null where the title of the conversation matches."""

    id: int
    conversation: FoundConversation
    message: FoundMessage | None
    excerpt: str
    matches: list[tuple[int, int]]

    @classmethod
    def of(cls, row: "models.Passage", wanted: list[str]) -> Self:
        room, message = row.conversation, row.message
        part, matches = excerpt(room.title if message is None else message.text, wanted)
        return cls(
            id=row.pk,
            conversation=FoundConversation(room.id, room.title, reverse("nous_chat:conversation", args=[room.id])),
            message=FoundMessage.of(message) if message else None,
            excerpt=part,
            matches=matches,
        )


class Participant(Struct, frozen=True):
    id: str
    user: Person
    role: str
    joined_at: datetime

    @classmethod
    def of(cls, row: "models.Participant") -> Self:
        return cls(id=str(row.pk), user=Person.of(row.user), role=row.role, joined_at=row.joined_at)


class Invitation(Struct, frozen=True):
    id: UUID
    token: str
    url: str
    role: str
    expires_at: datetime
    max_uses: int | None
    uses: int
    created_by: Person
    created_at: datetime

    @classmethod
    def of(cls, row: "models.Invitation", token: str) -> Self:
        return cls(
            id=row.id,
            token=token,
            url=reverse("nous_chat:join", args=[token]),
            role=row.role,
            expires_at=row.expires_at,
            max_uses=row.max_uses,
            uses=row.uses,
            created_by=Person.of(row.created_by),
            created_at=row.created_at,
        )


class You(Struct, frozen=True):
    """The person at this socket, the role in this conversation, and whether this is staff of the site."""

    id: str
    name: str
    role: str
    staff: bool
