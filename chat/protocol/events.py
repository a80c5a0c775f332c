"""Events: the frames that the server sends (docs/protocol.md, "Events").

The publisher encodes an event once. Channel layers and consumers pass the text on without parsing it.
"""

from decimal import Decimal
from uuid import UUID

import msgspec
from msgspec import Struct

from . import objects


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Snapshot(Event, frozen=True, tag="snapshot"):
    you: objects.You
    conversation: objects.Conversation
    participants: list[objects.Participant]
    messages: list[objects.Message]
    more: bool
    runs: list[objects.Run]
    documents: list[objects.Document]


class InboxSnapshot(Event, frozen=True, tag="snapshot"):
    you: objects.Person
    conversations: list[objects.Conversation]
    more: bool


class MessageCreated(Event, frozen=True, tag="message.created"):
    message: objects.Message


class MessageUpdated(Event, frozen=True, tag="message.updated"):
    message: objects.Message


class MessageDeleted(Event, frozen=True, tag="message.deleted"):
    message: objects.Message


class RunQueued(Event, frozen=True, tag="run.queued"):
    run: UUID
    place: int


class RunWaiting(Event, frozen=True, tag="run.waiting"):
    run: UUID
    retry_in: float


class RunFallback(Event, frozen=True, tag="run.fallback"):
    run: UUID
    model: str


class RunStarted(Event, frozen=True, tag="run.started"):
    run: UUID
    message: objects.Message


class RunDelta(Event, frozen=True, tag="run.delta", omit_defaults=True):
    run: UUID
    seq: int
    text: str | None = None
    thinking: str | None = None


class RunTool(Event, frozen=True, tag="run.tool"):
    run: UUID
    seq: int
    call: objects.Call


class RunState(Event, frozen=True, tag="run.state"):
    run: UUID
    seq: int
    message: objects.Message
    ref: str | None = None


class RunFinished(Event, frozen=True, tag="run.finished"):
    run: UUID
    message: objects.Message | None
    status: str
    usage: objects.Usage | None
    cost: Decimal | None
    error: objects.Failure | None
    stopped_by: objects.Person | None
    tokens: int | None
    ref: str | None = None

    @classmethod
    def of(cls, run: objects.Run, message: objects.Message | None, ref: str | None = None) -> "RunFinished":
        return cls(
            run=run.id,
            message=message,
            status=run.status,
            usage=run.usage,
            cost=run.cost,
            error=run.error,
            stopped_by=run.stopped_by,
            tokens=run.tokens,
            ref=ref,
        )


class DocumentCreated(Event, frozen=True, tag="document.created"):
    document: objects.Document


class DocumentUpdated(Event, frozen=True, tag="document.updated"):
    document: objects.Document


class DocumentDeleted(Event, frozen=True, tag="document.deleted"):
    document: UUID


class DocumentChanged(Event, frozen=True, tag="document.changed"):
    document: UUID
    version: int
    changes: objects.Changes
    author: objects.Person | None
    run: UUID | None
    client_id: UUID | None
    writing: objects.Writing | None

    @classmethod
    def of(cls, document: UUID, update: objects.DocumentUpdate, writing: objects.Writing | None) -> "DocumentChanged":
        return cls(
            document=document,
            version=update.version,
            changes=update.changes,
            author=update.author,
            run=update.run,
            client_id=update.client_id,
            writing=writing,
        )


class DocumentUpdates(Event, frozen=True, tag="document.updates"):
    document: UUID
    updates: list[objects.DocumentUpdate]
    more: bool
    writing: objects.Writing | None
    ref: str | None


class DocumentNamed(Event, frozen=True, tag="document.named"):
    document: UUID
    version: int
    name: str


class DocumentSelection(Event, frozen=True, tag="document.selection"):
    document: UUID
    version: int
    user: objects.Person
    anchor: int | None
    head: int | None


class DocumentProposed(Event, frozen=True, tag="document.proposed"):
    document: UUID
    proposal: objects.DocumentProposal


class DocumentResolved(Event, frozen=True, tag="document.resolved"):
    document: UUID
    proposal: UUID


class ParticipantJoined(Event, frozen=True, tag="participant.joined"):
    participant: objects.Participant


class ParticipantUpdated(Event, frozen=True, tag="participant.updated"):
    participant: objects.Participant


class ParticipantLeft(Event, frozen=True, tag="participant.left"):
    participant: objects.Participant


class Presence(Event, frozen=True, tag="presence"):
    host: str
    people: list[objects.Person]


class Typing(Event, frozen=True, tag="typing"):
    conversation: UUID
    user: objects.Person
    on: bool


class ConversationUpdated(Event, frozen=True, tag="conversation.updated"):
    conversation: objects.Conversation


class ConversationRemoved(Event, frozen=True, tag="conversation.removed"):
    conversation: UUID
    last_seq: int | None = None
    """The `seq` of the notice that the user left or was removed; None if the conversation was deleted."""


class ConversationState(Event, frozen=True, tag="conversation.state"):
    last_seq: int
    run: UUID | None


class HistoryPage(Event, frozen=True, tag="history.page"):
    messages: list[objects.Message]
    more: bool
    ref: str | None


class Ack(Event, frozen=True, tag="ack"):
    ref: str | None
    message: UUID | None = None
    client_id: UUID | None = None
    run: UUID | None = None
    document: UUID | None = None


class Error(Event, frozen=True, tag="error"):
    ref: str | None
    code: str
    message: str
    retry_after: float | None = None


class Notice(Event, frozen=True, tag="notice"):
    code: str
    message: str


class Closing(Event, frozen=True, tag="closing"):
    reason: str
    reconnect_in: float


class Pong(Event, frozen=True, tag="pong"):
    ref: str | None


AnyEvent = (
    Snapshot
    | InboxSnapshot
    | MessageCreated
    | MessageUpdated
    | MessageDeleted
    | RunQueued
    | RunWaiting
    | RunFallback
    | RunStarted
    | RunDelta
    | RunTool
    | RunState
    | RunFinished
    | DocumentCreated
    | DocumentChanged
    | DocumentUpdated
    | DocumentDeleted
    | DocumentUpdates
    | DocumentNamed
    | DocumentSelection
    | DocumentProposed
    | DocumentResolved
    | ParticipantJoined
    | ParticipantUpdated
    | ParticipantLeft
    | Presence
    | Typing
    | ConversationUpdated
    | ConversationRemoved
    | ConversationState
    | HistoryPage
    | Ack
    | Error
    | Notice
    | Closing
    | Pong
)
EVENTS: tuple[type[Event], ...] = AnyEvent.__args__

_encoder = msgspec.json.Encoder()


def kind_of(text: str) -> str:
    """The `type` of a frame that `encode` made, which stands first."""
    return text[9 : text.index('"', 9)]


def encode(event: Event) -> str:
    """The text of the event's frame."""
    return _encoder.encode(event).decode()
