"""Build a model's prompt from rows, within a token budget; store and read the transcripts of runs."""

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from uuid import UUID

import msgspec
from msgspec.structs import replace

from .. import agents, engine, models
from ..documents.changesets import units
from ..engine.approvals import pending_calls
from ..engine.tokens import estimate_tokens
from ..protocol.objects import Person, SelectedText
from .text import one_line, truncate

logger = logging.getLogger("nous_chat.store")

STORAGE_PREFIX = "storage:"
"""The beginning of an image's URL until `load_images` has read it from the storage."""

BACKTICKS = re.compile("`+")

MAX_REPLY_CHARS = 120
"""How much of a message a reply to it quotes."""

SUMMARY_PREFIX = "(An automatic summary of the conversation before this:)\n\n"


class Prompt(msgspec.Struct, frozen=True):
    """The messages for a model. `omitted_seq` is the number of the newest message that did not fit, 0 if all did."""

    messages: list[engine.Message]
    omitted_seq: int = 0


Files = Mapping[UUID, Sequence[models.Attachment]]
"""Attachments by the id of their message. Those without text are only mentioned."""


def build_prompt(
    newest_first: Iterable[models.Message],
    budget: int,
    agent: str,
    files: Files = MappingProxyType({}),
    summary: str = "",
) -> Prompt:
    """The newest messages whose estimates fit into `budget` tokens, oldest first, and at least the newest one. If some
    did not fit, the `summary` comes first.

    An answer comes whole: its tool calls and their results are included with it or not at all. Empty answers, such as
    failed ones, are left out, and so are system messages. The prompt takes the view of `agent` (a slug): only its own
    answers are turns of the assistant, while other agents are users to it, as people are. If there are several
    speakers, each message carries its author's name. A reply begins with a line that quotes the message it answers.
    """
    # A user's message, not a system message: it contains what users wrote, which must not gain more authority.
    summary_turn = engine.Message("user", SUMMARY_PREFIX + summary)
    if summary:
        budget -= estimate_tokens(summary_turn)
    chosen: list[tuple[models.Message, list[engine.Message]]] = []
    omitted_seq = 0
    for row in newest_first:
        turns = _build_turns(row, agent, files.get(row.pk, ()))
        budget -= sum(estimate_tokens(turn) for turn in turns)
        if budget < 0 and chosen:
            omitted_seq = row.seq
            break
        if turns:
            chosen.append((row, turns))
    chosen.reverse()
    speakers = {(row.author_id, turn.name) for row, turns in chosen for turn in turns if turn.role == "user"}
    several = len(speakers) > 1
    messages = [
        replace(turn, name=Person.of(row.author).name) if several and row.author is not None else turn
        for row, turns in chosen
        for turn in turns
    ]
    return Prompt([summary_turn, *messages] if summary and omitted_seq else messages, omitted_seq)


def _build_turns(row: models.Message, agent: str, files: Sequence[models.Attachment]) -> list[engine.Message]:
    run = getattr(row, "run", None)
    if row.role == models.Message.Role.SYSTEM or not (row.text or files):
        return []
    if run is not None and run.agent != agent:
        return [engine.Message("user", row.text, name=agents.find(run.agent).name)]
    if run is not None and run.transcript and run.status == models.Run.Status.COMPLETED:
        return decode_transcript(run)
    takes_images = agents.find(agent).images
    images = [file for file in files if file.is_image and takes_images]
    about = [_describe_reply(row, agent), _describe_selection(row)]
    parts = [*about, row.text, *(_describe_file(file) for file in files if file not in images)]
    return [
        engine.Message(
            row.role,  # type: ignore[arg-type]  # the choices of Role
            "\n\n".join(filter(None, parts)),
            images=tuple(
                engine.Image(url=f"{STORAGE_PREFIX}{file.file.name}", media_type=file.type) for file in images
            ),
        )
    ]


def _describe_reply(row: models.Message, agent: str) -> str:
    """A line that quotes the message this one replies to; empty if models do not see that message."""
    replied = row.reply_to
    if replied is None or replied.deleted_at is not None or not replied.shown:
        return ""
    run = getattr(replied, "run", None)
    if run is not None:
        author = "you" if run.agent == agent else agents.find(run.agent).name
    else:
        author = Person.of(replied.author).name if replied.author is not None else "somebody"
    quote = _quote(replied.text)
    return f"(In reply to {_quote(author)}{': ' if quote else ''}{quote})"


def _describe_selection(row: models.Message) -> str:
    """The part of a document that a message is about; empty without one."""
    selected = SelectedText.of(row.selection)
    if selected is None:
        return ""
    title = json.dumps(selected.title, ensure_ascii=False)
    length = selected.end - selected.start
    cut = f"\n(Cut: {length:,} characters are selected.)" if units(selected.text) < length else ""
    return f"Selected in the document {title} ({selected.document}):\n{fence(selected.text)}{cut}"


def _quote(text: str) -> str:
    return truncate(one_line(text[: 4 * MAX_REPLY_CHARS]), MAX_REPLY_CHARS)


def _describe_file(file: models.Attachment) -> str:
    """What a model is told of a file. Its text stands in a fence that no line of it can close, and its name in quotes
    (as JSON, so that nothing in it can end them): both are what a user chose, and models take them for what they seem.
    """
    name = json.dumps(file.name, ensure_ascii=False)
    if file.is_image:
        return f"(A picture is attached that you cannot see: {name})"
    if not file.text:
        return f"(A file was attached that is no longer shown: {name})"
    cut = f"\n(Cut: the file has {file.size:,} bytes.)" if len(file.text) < file.length else ""  # type: ignore[attr-defined]
    return f"Attached file {name}:\n{fence(file.text)}{cut}"


def fence(text: str) -> str:
    """A text in a fence that no line of it can close."""
    longest = max(map(len, BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def load_images(messages: Sequence[engine.Message]) -> list[engine.Message]:
    """Replace the references to stored images by their bytes. If an image can't be read, the message says so instead.

    The storage may be remote, so this must run neither inside a transaction nor on the event loop.
    """
    storage = models.attachment_storage()
    loaded = []
    for message in messages:
        images = []
        for image in message.images:
            if image.url is None or not image.url.startswith(STORAGE_PREFIX):
                images.append(image)
                continue
            try:
                with storage.open(image.url.removeprefix(STORAGE_PREFIX)) as file:
                    images.append(engine.Image(data=file.read(), media_type=image.media_type))
            except Exception:  # each kind of storage raises its own errors
                logger.exception("An attached picture cannot be read")
                message = replace(message, text=f"{message.text}\n\n(A picture is missing.)".strip())
        loaded.append(replace(message, images=tuple(images)) if message.images else message)
    return loaded


def decode_transcript(run: models.Run) -> list[engine.Message]:
    """The messages that a run added to the conversation; empty if it called no tool."""
    return _decoder.decode(run.transcript) if run.transcript else []


def encode_transcript(messages: Iterable[engine.Message]) -> str:
    """A transcript for the row; empty if it is only text, which the message holds already."""
    turns = list(messages)
    return msgspec.json.encode(turns).decode() if any(turn.tool_calls for turn in turns) else ""


def has_all_results(messages: Iterable[engine.Message]) -> bool:
    """True if every tool call has its result: providers reject a history in which one is missing."""
    return not pending_calls(list(messages))


def build_continuation(row: models.Message) -> list[engine.Message]:
    """An answer that was cut off, and the request to continue it; empty if there is nothing to continue.

    The request is a user's message, because not every provider accepts a prompt that ends with the assistant's.
    """
    answer = decode_transcript(row.run)
    if not answer or not has_all_results(answer):  # then it is of the time before an approval, and ends too early
        answer = [engine.Message("assistant", row.text)] if row.text else []
    return [*answer, engine.Message("user", engine.CONTINUE_PROMPT)] if answer else []


_decoder = msgspec.json.Decoder(list[engine.Message])
