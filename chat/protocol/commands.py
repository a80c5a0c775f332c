"""Commands: the frames that a client may send, typed and validated (docs/protocol.md, "Commands")."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
from django.utils.translation import gettext as _
from msgspec import Meta, Struct

from ..engine.messages import MAX_DEPTH, is_deeper
from ..i18n import format_number
from .errors import ErrorCode, Refused
from .objects import Changes

MAX_FRAME_CHARS = 64 * 1024
"""A longer frame is refused without parsing it."""

Ref = Annotated[str, Meta(max_length=64)]
Slug = Annotated[str, Meta(max_length=100)]
Version = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Place = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""A place in a document's text, in UTF-16 units."""


class Command(Struct, frozen=True, kw_only=True, tag_field="type"):
    ref: Ref | None = None

    cost: ClassVar[float] = 1.0
    """How many tokens of the user's rate limit it takes."""


class Selection(Struct, frozen=True):
    """A part of a document's text, at one of its versions."""

    document: UUID
    version: Version
    start: Place = msgspec.field(name="from")
    end: Place = msgspec.field(name="to")


class MessageSend(Command, frozen=True, tag="message.send"):
    client_id: UUID
    text: str
    mode: Literal["interrupt", "queue"] | None = None
    reply_to: UUID | None = None
    agent: Slug | None = None
    attachments: Annotated[list[UUID], Meta(max_length=100)] = []
    selection: Selection | None = None


class MessageEdit(Command, frozen=True, tag="message.edit"):
    message: UUID
    text: str
    resend: bool = False


class MessageDelete(Command, frozen=True, tag="message.delete"):
    message: UUID


class MessageRestore(Command, frozen=True, tag="message.restore"):
    message: UUID


class MessageChoose(Command, frozen=True, tag="message.choose"):
    message: UUID


class RunStart(Command, frozen=True, tag="run.start"):
    message: UUID | None = None
    agent: Slug | None = None
    continues: bool = msgspec.field(default=False, name="continue")


class RunStop(Command, frozen=True, tag="run.stop"):
    run: UUID


class RunSync(Command, frozen=True, tag="run.sync"):
    run: UUID


class RunAck(Command, frozen=True, tag="run.ack"):
    run: UUID
    seq: Annotated[int, Meta(ge=0)]


class ToolDecide(Command, frozen=True, tag="tool.decide"):
    call: UUID
    decision: Literal["approve", "reject"]
    arguments: dict[str, Any] | None = None
    reason: Annotated[str, Meta(max_length=1000)] = ""


class DocumentCreate(Command, frozen=True, tag="document.create"):
    title: str
    kind: str = "markdown"
    language: str = ""
    text: str = ""
    client_id: UUID | None = None


class DocumentUpdate(Command, frozen=True, tag="document.update"):
    document: UUID
    title: str | None = None
    kind: str | None = None
    language: str | None = None


class DocumentDelete(Command, frozen=True, tag="document.delete"):
    document: UUID


class DocumentUndelete(Command, frozen=True, tag="document.undelete"):
    document: UUID


class DocumentPush(Command, frozen=True, tag="document.push"):
    document: UUID
    version: Version
    changes: Changes
    client_id: UUID | None = None
    rebase: bool = False


class DocumentTakeOver(Command, frozen=True, tag="document.take_over"):
    document: UUID


class DocumentSync(Command, frozen=True, tag="document.sync"):
    document: UUID
    version: Version


class DocumentName(Command, frozen=True, tag="document.name"):
    document: UUID
    version: Version
    name: str


class DocumentRestore(Command, frozen=True, tag="document.restore"):
    cost: ClassVar[float] = 20.0  # two long texts without a common line are compared for a second
    document: UUID
    version: Version


class DocumentSelect(Command, frozen=True, tag="document.select"):
    document: UUID
    version: Version
    anchor: Place | None
    head: Place | None


class DocumentResolve(Command, frozen=True, tag="document.resolve"):
    document: UUID
    proposal: UUID


class HistoryLoad(Command, frozen=True, tag="history.load"):
    before: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class Read(Command, frozen=True, tag="read"):
    seq: Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Typing(Command, frozen=True, tag="typing"):
    on: bool


class Ping(Command, frozen=True, tag="ping"):
    pass


AnyCommand = (
    MessageSend
    | MessageEdit
    | MessageDelete
    | MessageRestore
    | MessageChoose
    | RunStart
    | RunStop
    | RunSync
    | RunAck
    | ToolDecide
    | DocumentCreate
    | DocumentUpdate
    | DocumentDelete
    | DocumentUndelete
    | DocumentPush
    | DocumentTakeOver
    | DocumentSync
    | DocumentName
    | DocumentRestore
    | DocumentSelect
    | DocumentResolve
    | HistoryLoad
    | Read
    | Typing
    | Ping
)
COMMANDS: tuple[type[Command], ...] = AnyCommand.__args__

_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
_names = {str(command.__struct_config__.tag) for command in COMMANDS}


class _Envelope(Struct):
    type: object = None
    ref: object = None


def parse(frame: str | None) -> AnyCommand:
    """A frame of a socket as a command. Raises Refused, with the frame's `ref` if that could be read.

    `frame` is None for a binary frame.
    """
    if frame is None:
        raise Refused(ErrorCode.BAD_JSON, "A frame must be text: one JSON object.")
    if len(frame) > MAX_FRAME_CHARS:
        raise Refused(
            ErrorCode.TOO_LARGE,
            _("This is too long. You can send up to %(most)s characters.") % {"most": format_number(MAX_FRAME_CHARS)},
        )
    return decode(frame)


def decode(frame: str) -> AnyCommand:
    """A frame's text as a command, however long it is. Raises Refused."""
    try:
        command = _decoder.decode(frame)
    except msgspec.ValidationError as error:
        raise _explain(frame, error) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refused(ErrorCode.BAD_JSON, "The frame is not valid JSON.") from None
    if isinstance(command, ToolDecide) and is_deeper(command.arguments, MAX_DEPTH):
        raise Refused(ErrorCode.INVALID, f"`arguments` can be nested {MAX_DEPTH} deep.", command.ref)
    return command


def _explain(frame: str, error: msgspec.ValidationError) -> Refused:
    """The refusal of a frame that is JSON, but no valid command. Decodes again, loosely, to find `type` and `ref`."""
    try:
        envelope = msgspec.json.decode(frame, type=_Envelope)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Refused(ErrorCode.BAD_JSON, "A frame must be one JSON object.")
    ref = envelope.ref if isinstance(envelope.ref, str) and len(envelope.ref) <= 64 else None
    if not isinstance(envelope.type, str) or envelope.type not in _names:
        known = ", ".join(sorted(_names))
        return Refused(ErrorCode.UNKNOWN_COMMAND, f"Unknown command. The commands are {known}.", ref)
    return Refused(ErrorCode.INVALID, f"{error}.", ref)
