"""A person says something."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from msgspec import Struct
from msgspec.structs import replace

from ..conf import conf
from ..i18n import format_number
from ..models import Conversation, Message
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .attachments import attach_files
from .base import append_message, check_can_post, lock_membership, sanitize_text, shown_messages
from .read_state import advance_last_read
from .responders import Responders, add_waiting, check_responder, choose_responders
from .run_lifecycle import FinishedRun, active_runs, queue_next_run, queue_run, read_finished, stop_run
from .search import index_messages, set_title

TITLE_CHARS = 60


class Posted(Struct, frozen=True):
    """`message` is in the conversation. What follows from it: a run to start, or one to stop first."""

    message: objects.Message
    repeated: bool = False
    start: UUID | None = None
    stop: UUID | None = None
    ended: FinishedRun | None = None
    """A run that stood still and was ended by the message."""
    refused: Refused | None = None
    """Why agents that it speaks to do not answer."""


@transaction.atomic
def post_message(
    user_id: Any,
    conversation_id: UUID,
    text: str,
    client_id: UUID | None,
    mode: str | None,
    host: str | None,
    reply_to: UUID | None = None,
    agent: str | None = None,
    attachments: Sequence[UUID] = (),
) -> Posted:
    """A person says something; the same `client_id` twice is one message.

    Where it asks an agent (`agent` is the slug of one that is asked expressly), a run is queued for `host`. During a
    run it waits for the run's end, where `finish_run` queues the next one; with mode `interrupt` (default for one's own
    run of that agent) that end is asked for now.
    """
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    if client_id is not None:
        earlier = shown_messages(conversation_id).filter(author=user_id, client_id=client_id).first()
        if earlier is not None:
            return Posted(objects.Message.of(earlier), repeated=True)
    check_can_post(participant)
    text = check_text(text, bool(attachments))
    replied = None
    if reply_to is not None and (replied := shown_messages(conversation_id).filter(pk=reply_to).first()) is None:
        raise Refused(ErrorCode.NOT_FOUND, _("The message that this replies to is not in this conversation."))
    if agent is not None:
        found = Responders([check_responder(participant, conversation, agent)])
    else:
        found = choose_responders(participant, conversation, text, replied)
    ask = found.allowed
    active = active_runs(conversation_id).first()
    for slug in ask if active is not None else ask[1:]:
        add_waiting(conversation, slug, participant.user_id, conversation.last_seq + 1)
    if not conversation.title and text.strip():
        set_title(conversation, make_title(text), Conversation.TitleFrom.WORDS)
    said = {"author": participant.user, "text": text, "client_id": client_id, "reply_to": replied}
    row = append_message(conversation, role=Message.Role.USER, **said)
    index_messages([row])
    attach_files(row, attachments)
    advance_last_read(conversation, participant.user_id, row.seq)
    message = objects.Message.of(row)
    posted = Posted(message, refused=found.refused)
    if not ask:
        return posted
    if active is None:
        return replace(posted, start=queue_run(conversation, ask[0], participant.user_id, host).id)
    own = active.launched_by_id == participant.user_id and active.agent == ask[0]
    interrupt = mode == "interrupt" or (mode is None and own and conversation.mode == Conversation.Mode.INTERRUPT)
    if not interrupt or not policy().can_stop(participant, active):
        return posted
    if not stop_run(active, participant.user_id):
        return replace(posted, stop=active.id)
    return replace(posted, ended=read_finished(active.id), start=queue_next_run(conversation, host))


def check_text(text: str, attached: bool = False) -> str:
    """As it is stored. It may be empty only where something is attached."""
    text = sanitize_text(text)
    if not text.strip() and not attached:
        raise Refused(ErrorCode.EMPTY, _("The message has no text."))
    if len(text) > conf.MAX_MESSAGE_CHARS:
        raise Refused(
            ErrorCode.TOO_LARGE,
            _("A message may have at most %(most)s characters; this one has %(length)s.")
            % {"most": format_number(conf.MAX_MESSAGE_CHARS), "length": format_number(len(text))},
        )
    return text


def make_title(text: str) -> str:
    """The first words."""
    words = " ".join(text.split())
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1].rstrip() + "…"
