"""Post a message, and queue the runs that answer it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _
from msgspec import Struct
from msgspec.structs import replace

from ..conf import conf
from ..i18n import format_number
from ..models import Attachment, Conversation, Message, Participant, Run
from ..permissions import can_see, policy
from ..protocol import commands, objects
from ..protocol.errors import ErrorCode, Refused
from .attachments import attach_files
from .base import (
    check_can_post,
    conversation_not_found,
    count,
    lock_if_exists,
    membership,
    next_message,
    shown_messages,
    touch,
    writers_of,
)
from .document_selections import read_selection
from .guests import check_guest
from .prepared import Param, Select, Update, insert
from .responders import Responders, add_waiting, check_responder, choose_responders, drop_waiting
from .run_lifecycle import FinishedRun, active_runs, queue_next_run, queue_run, read_finished, require_host, stop_run
from .run_start import StartedRun, create_running, describe_start
from .search import index_message, set_title, titles_of
from .text import make_title, sanitize_text
from .unit_of_work import unit_of_work


class Posted(Struct, frozen=True):
    """`message` is stored; the caller starts the run `start`, or tells the process of the run `stop` to stop it."""

    message: objects.Message
    repeated: bool = False
    """True if this `client_id` was posted before; nothing else has happened then."""
    start: UUID | None = None
    started: StartedRun | None = None
    """The run `start`, if it is running already instead of being queued."""
    stop: UUID | None = None
    ended: FinishedRun | None = None
    """A run without a process (queued, or awaiting approval) that the message ended."""
    refused: Refused | None = None
    """Why agents that the message addresses do not answer."""


@unit_of_work()
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
    selection: commands.Selection | None = None,
    words: str | None = None,
    run_id: UUID | None = None,
    ask: bool = True,
    unattended: bool = False,
) -> Posted:
    """Store a message, and queue a run for `host` if it asks an agent. Posting a `client_id` again changes nothing.

    `agent` is the slug of an agent to ask; without it, the text and the conversation's settings decide. While another
    run is active, the agent waits and `finish_run` queues it. `mode` "interrupt" also stops that run, which is the
    default for a run of the same agent that the same user launched. `selection` is the part of a document that the text
    is about: the agent proposes changes of it. `words` is what the search index holds of the text (`extract_words`).

    With `run_id`, the host has a slot: a run begins at once, with this id, unless its user has too many. Without `ask`,
    no agent answers. `unattended`: nobody's page waits for the answer, so it is made even if none is open.
    """
    lock_if_exists(conversation_id)
    participant = _POSTING.first(user=user_id, conversation=conversation_id, client_id=client_id)
    if participant is None or not can_see(participant):
        raise conversation_not_found()
    conversation = participant.conversation
    if participant.earlier is not None:
        earlier = shown_messages(conversation_id).filter(pk=participant.earlier).first()
        if earlier is not None:
            return Posted(objects.Message.of(earlier), repeated=True)
    check_can_post(participant)
    check_guest(participant.user)
    text = check_text(text, bool(attachments))
    replied = None
    if reply_to is not None and (replied := shown_messages(conversation_id).filter(pk=reply_to).first()) is None:
        raise Refused(ErrorCode.NOT_FOUND, _("The message you reply to is not in this conversation."))
    if not ask:
        responders = Responders()
    elif agent is not None:
        responders = Responders([check_responder(participant, conversation, agent)])
    else:
        responders = choose_responders(participant, conversation, text, replied, participant.writers)
    slugs = responders.allowed
    active = active_runs(conversation_id).get(pk=participant.active) if participant.active is not None else None
    for slug in slugs if active is not None else slugs[1:]:
        add_waiting(conversation, slug, participant.user_id, conversation.last_seq + 1)
    new_title = ""
    if not conversation.title and text.strip():
        title = make_title(text)
        if participant.has_indexed_title:  # left behind by a site's code that has written to the row
            set_title(conversation, title, Conversation.TitleFrom.WORDS)
        else:
            new_title = conversation.title = title
            conversation.title_from = Conversation.TitleFrom.WORDS
    row = next_message(
        conversation,
        role=Message.Role.USER,
        author=participant.user,
        text=text,
        client_id=client_id,
        reply_to=replied,
        selection=None if selection is None else read_selection(conversation_id, selection),
    )
    answer = None
    if run_id is not None and slugs and active is None and participant.running < conf.MAX_RUNS_PER_USER:
        answer = next_message(conversation, role=Message.Role.ASSISTANT)
        drop_waiting(conversation, slugs[0])
    touch(conversation)
    insert([row] if answer is None else [row, answer])
    index_message(row, words, new_title)
    attach_files(row, attachments)
    _MARK_OWN.execute(id=participant.pk, last_read=row.seq)
    posted = Posted(objects.Message.of(row, None if attachments else objects.Belongings()), refused=responders.refused)
    if not slugs:
        return posted
    if run_id is not None and answer is not None:
        run = create_running(run_id, conversation, slugs[0], participant.user, require_host(host), answer, unattended)
        started = describe_start(run, conversation, row, has_files=participant.has_files or bool(attachments))
        return replace(posted, start=run.id, started=started)
    if active is None:
        queued = queue_run(conversation, slugs[0], participant.user_id, host, unattended=unattended)
        return replace(posted, start=queued.id)
    own = active.launched_by_id == participant.user_id and active.agent == slugs[0]
    interrupt = mode == "interrupt" or (mode is None and own and conversation.mode == Conversation.Mode.INTERRUPT)
    if not interrupt or not policy().can_stop(participant, active):
        return posted
    if not stop_run(active, participant.user_id):
        return replace(posted, stop=active.id)
    return replace(posted, ended=read_finished(active.id), start=queue_next_run(conversation, host))


def _posting() -> QuerySet[Any]:
    """The membership, and everything else that posting a message depends on, as annotations."""
    here = OuterRef("conversation")
    active = Run.objects.filter(conversation=here, status__in=Run.ACTIVE).order_by()
    earlier = Message.objects.filter(
        conversation=here, author=OuterRef("user"), client_id=Param("client_id", Message, "client_id")
    ).order_by()
    files = Attachment.objects.filter(conversation=here, message__isnull=False)
    running = Run.objects.filter(launched_by=OuterRef("user"), status=Run.Status.RUNNING)
    return membership().annotate(
        active=Subquery(active.values("pk")),
        earlier=Subquery(earlier.values("pk")),
        writers=count(writers_of(here)),
        running=count(running),
        has_files=Exists(files),
        has_indexed_title=Exists(titles_of(here)),
    )


_POSTING = Select(_posting)
_MARK_OWN = Update(lambda: Participant.objects.filter(pk=Param("id", Participant, "id")), ["last_read"])


def check_text(text: str, has_attachments: bool = False) -> str:
    """A message's text as it is stored. Raises Refused if it is too long, or empty without attachments."""
    text = sanitize_text(text)
    if not text.strip() and not has_attachments:
        raise Refused(ErrorCode.EMPTY, _("A message can't be empty."))
    if len(text) > conf.MAX_MESSAGE_CHARS:
        raise Refused(
            ErrorCode.TOO_LARGE,
            _("A message can have up to %(most)s characters. This one has %(length)s.")
            % {"most": format_number(conf.MAX_MESSAGE_CHARS), "length": format_number(len(text))},
        )
    return text
