"""What a socket sends first: the snapshot of its conversation. Read for all sockets that wait at the same time.

Sockets come in crowds: all of them after a restart, and a whole room when it becomes interesting. Read together, they
cost a fraction of what they cost one by one, and the readers of one conversation share its messages.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Subquery
from msgspec.structs import replace

from ..models import Conversation, Document, Participant, Run
from ..permissions import can_see
from ..protocol import events, objects
from ..protocol.errors import Refused
from .base import conversation_not_found
from .documents import documents_of
from .pages import Page, read_newest_pages, with_page_start
from .read_state import counts_as_unread, with_unread
from .rooms import allows
from .run_lifecycle import select_runs

_NOBODY = objects.You("", "", "", "", False)

_DOCUMENTS = Document.objects.filter(conversation=OuterRef("pk"), deleted_at=None).order_by()

_ACTIVE_RUN = Run.objects.filter(conversation=OuterRef("pk"), status__in=Run.ACTIVE).values("pk")[:1]


def read_snapshot(user_id: Any, conversation_id: UUID) -> events.Snapshot:
    """What one reader gets. Raises Refused(NOT_FOUND)."""
    (found,) = read_snapshots([(user_id, conversation_id)])
    if isinstance(found, Refused):
        raise found
    assert found is not None  # the first conversation is always read
    return found


def read_snapshots(readers: Sequence[tuple[Any, UUID]]) -> list[events.Snapshot | Refused | None]:
    """What each reader, a user in a conversation by their ids, gets: Refused(NOT_FOUND) if they are not in it; None if
    its messages are too long to be read together with those of others.
    """
    conversations = _read_conversations({conversation_id for _, conversation_id in readers})
    people = _read_participants(conversations)
    memberships = [people.get(conversation_id, {}).get(user_id) for user_id, conversation_id in readers]
    entered = {row.pk: row for row in memberships if row is not None and can_see(row) and allows(row)}
    opened: dict[UUID, Any] = {row.conversation_id: row.conversation for row in entered.values()}
    users = {user_id: row.user for key in opened for user_id, row in people[key].items()}
    pages = read_newest_pages(list(opened.values()), users)
    runs = _read_active_runs(list(opened.values()), pages)
    documents = _read_documents([key for key in pages if opened[key].has_documents])
    shared = {
        key: _describe(opened[key], list(people[key].values()), page, runs.get(key), documents.get(key, []))
        for key, page in pages.items()
    }
    read = [row for row in entered.values() if row.conversation_id in shared]
    unread = _count_unread(read, pages)
    snapshots = {row.pk: _for_reader(shared[row.conversation_id], row, unread[row.pk]) for row in read}
    return [
        snapshots.get(row.pk) if row is not None and row.pk in entered else conversation_not_found()
        for row in memberships
    ]


def _read_conversations(keys: set[UUID]) -> dict[UUID, Any]:
    rows = Conversation.objects.filter(deleted_at=None).annotate(
        active_run=Subquery(_ACTIVE_RUN), has_documents=Exists(_DOCUMENTS)
    )
    return with_page_start(rows).in_bulk(keys)


def _read_participants(conversations: Mapping[UUID, Conversation]) -> dict[UUID, dict[Any, Participant]]:
    """The participants of each conversation, by user id."""
    found: dict[UUID, dict[Any, Participant]] = {key: {} for key in conversations}
    for row in Participant.objects.filter(conversation__in=found).select_related("user"):
        row.conversation = conversations[row.conversation_id]
        found[row.conversation_id][row.user_id] = row
    return found


def _read_active_runs(conversations: Sequence[Any], pages: Mapping[UUID, Page]) -> dict[UUID, objects.Run]:
    """The active run of each conversation that has one. Its answer is on the page, unless it is queued."""
    found = {
        message.conversation: message.run
        for page in pages.values()
        for message in page.messages
        if message.run is not None and message.run.status in Run.ACTIVE
    }
    others = [row.active_run for row in conversations if row.active_run is not None and row.pk not in found]
    if others:
        rows = select_runs().filter(pk__in=others, status__in=Run.ACTIVE)
        found |= {row.conversation_id: objects.Run.of(row) for row in rows}
    return found


def _read_documents(conversations: Sequence[UUID]) -> dict[UUID, list[objects.Document]]:
    """The documents of each of these conversations, which have some, without their texts."""
    found: dict[UUID, list[objects.Document]] = {}
    for row in documents_of(conversations).defer("text") if conversations else ():
        found.setdefault(row.conversation_id, []).append(objects.Document.of(row))
    return found


def _count_unread(rows: Sequence[Participant], pages: Mapping[UUID, Page]) -> dict[int, int]:
    """By participant's primary key. The messages of a page are counted here, those before it by the database."""
    counts, before = {}, []
    for row in rows:
        page = pages[row.conversation_id]
        if page.more and (not page.messages or row.last_read < page.messages[0].seq - 1):
            before.append(row.pk)
        else:
            counts[row.pk] = sum(each.seq > row.last_read and counts_as_unread(each) for each in page.messages)
    if before:
        rows_before: Iterable[Any] = with_unread(Participant.objects.filter(pk__in=before))
        counts |= {row.pk: row.unread for row in rows_before}
    return counts


def _describe(
    conversation: Conversation,
    people: Sequence[Participant],
    page: Page,
    run: objects.Run | None,
    documents: list[objects.Document],
) -> events.Snapshot:
    """A conversation's snapshot, as far as it is the same for all readers."""
    return events.Snapshot(
        you=_NOBODY,
        conversation=objects.Conversation.of(
            conversation,
            run=run.status if run else None,
            responder=run.agent.slug if run else None,
            writers=sum(row.role != Participant.Role.VIEWER for row in people),
        ),
        participants=[objects.Participant.of(row) for row in people],
        messages=page.messages,
        more=page.more,
        runs=[run] if run else [],
        documents=documents,
    )


def _for_reader(shared: events.Snapshot, row: Participant, unread: int) -> events.Snapshot:
    me = objects.Person.of(row.user)
    return replace(
        shared,
        you=objects.You(me.id, me.name, me.picture, row.role, getattr(row.user, "is_staff", False)),
        conversation=replace(shared.conversation, yours=objects.Yours.of(row, unread)),
    )
