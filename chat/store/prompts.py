"""Rows in, engine messages out: what a model is sent of a conversation, within a token budget. Called by `store`; by
`runs` for the pictures.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from uuid import UUID

import msgspec
from msgspec.structs import replace

from .. import agents, engine, models
from ..engine.approvals import pending_calls
from ..engine.tokens import estimate_tokens
from ..protocol.objects import Person

logger = logging.getLogger("nous_chat.store")

STORAGE_PREFIX = "storage:"
"""What the address of a picture begins with until `load` has read it."""

MAX_REPLY_CHARS = 120
"""How much a model is told of the message that another one replies to."""

SUMMARY_PREFIX = "(What was said here before this, summed up automatically:)\n\n"


class Prompt(msgspec.Struct, frozen=True):
    """What a model is sent; the number of the newest message that did not fit, 0 where all did."""

    messages: list[engine.Message]
    omitted_seq: int = 0


Files = Mapping[UUID, Sequence[models.Attachment]]
"""Attachments by the id of their message. One whose text is empty is only mentioned."""


def build_prompt(
    newest_first: Iterable[models.Message],
    budget: int,
    agent: str,
    files: Files = MappingProxyType({}),
    summary: str = "",
) -> Prompt:
    """The newest messages whose estimates fit into `budget` tokens, oldest first; at least the newest one. Where
    something did not fit, the `summary` of it stands in front.

    An answer is one piece: its tool calls and their results come with it or not at all. Answers that hold nothing are
    left out, so that a failed one does not make a model see an empty turn. The view is that of `agent` (a slug): its
    own answers are its turns, what others say is said to it, agents like people. Where several speak, each message
    carries its author's name; a reply begins with a line that says to what. Notes of who came and left are not for
    models.
    """
    summed_up = engine.Message(
        "user", SUMMARY_PREFIX + summary
    )  # of a person, not the system: people's words are in it
    if summary:
        budget -= estimate_tokens(summed_up)
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
    return Prompt([summed_up, *messages] if summary and omitted_seq else messages, omitted_seq)


def load_images(messages: Sequence[engine.Message]) -> list[engine.Message]:
    """With the pictures themselves in place of their names. It reads the storage, which may be remote: nothing for a
    transaction, nor for the event loop. A picture that cannot be read is left out, and the model is told.
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
            except Exception:  # whatever a storage raises
                logger.exception("An attached picture cannot be read")
                message = replace(message, text=f"{message.text}\n\n(A picture is missing.)".strip())
        loaded.append(replace(message, images=tuple(images)) if message.images else message)
    return loaded


def decode_transcript(run: models.Run) -> list[engine.Message]:
    """What a run added to the history, as it was stored; empty for one that called no tool."""
    return _decoder.decode(run.transcript) if run.transcript else []


def build_continuation(row: models.Message) -> list[engine.Message]:
    """An answer that was cut off, and the wish that it goes on: every wire takes a person's words last."""
    said = decode_transcript(row.run) or ([engine.Message("assistant", row.text)] if row.text else [])
    return [*said, engine.Message("user", engine.CONTINUE_PROMPT)] if said else []


def encode_transcript(messages: Iterable[engine.Message]) -> str:
    """The same for the row: empty where it holds nothing but text, which the message holds already."""
    kept = list(messages)
    return msgspec.json.encode(kept).decode() if any(turn.tool_calls for turn in kept) else ""


def has_all_results(messages: Iterable[engine.Message]) -> bool:
    """Whether each call has its result: no model takes a history where one is missing."""
    return not pending_calls(list(messages))


def _build_turns(row: models.Message, agent: str, files: Sequence[models.Attachment]) -> list[engine.Message]:
    run = getattr(row, "run", None)
    if row.role == models.Message.Role.SYSTEM or not (row.text or files):
        return []
    if run is not None and run.agent != agent:
        return [engine.Message("user", row.text, name=agents.find(run.agent).name)]
    if run is not None and run.transcript and run.status == models.Run.Status.COMPLETED:
        return decode_transcript(run)
    sees = agents.find(agent).images
    pictures = [file for file in files if file.is_image and sees]
    said = [_describe_reply(row, agent), row.text, *(_describe_file(file) for file in files if file not in pictures)]
    return [
        engine.Message(
            row.role,  # type: ignore[arg-type]  # the choices of Role
            "\n\n".join(filter(None, said)),
            images=tuple(
                engine.Image(url=f"{STORAGE_PREFIX}{file.file.name}", media_type=file.type) for file in pictures
            ),
        )
    ]


def _describe_reply(row: models.Message, agent: str) -> str:
    """Which message this one replies to; empty where it is none that models are told of."""
    to = row.reply_to
    if to is None or to.deleted_at is not None or not to.shown:
        return ""
    run = getattr(to, "run", None)
    if run is not None:
        who = "you" if run.agent == agent else agents.find(run.agent).name
    else:
        who = Person.of(to.author).name if to.author is not None else "somebody"
    words = _one_line(to.text)
    return f"(In reply to {_one_line(who)}{': ' if words else ''}{words})"


def _one_line(text: str) -> str:
    line = " ".join(text[: 4 * MAX_REPLY_CHARS].split())
    return line if len(line) <= MAX_REPLY_CHARS else line[: MAX_REPLY_CHARS - 1].rstrip() + "…"


def _describe_file(file: models.Attachment) -> str:
    if file.is_image:
        return f"(A picture is attached that you cannot see: {file.name})"
    if not file.text:
        return f"(A file was attached that is no longer shown: {file.name})"
    fence = "````" if "```" in file.text else "```"
    cut = f"\n(Cut: the file has {file.size:,} bytes.)" if len(file.text) < file.length else ""  # type: ignore[attr-defined]
    return f"Attached file {file.name}:\n{fence}\n{file.text}\n{fence}{cut}"


_decoder = msgspec.json.Decoder(list[engine.Message])
