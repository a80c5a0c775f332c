"""Conversations, their agents, and a user's own view of them."""

from datetime import datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from msgspec import Struct

from ... import addresses, agents
from ...times import to_wire

if TYPE_CHECKING:
    from ... import models


class AgentName(Struct, frozen=True):
    """An agent, as the author of an answer."""

    slug: str
    name: str
    picture: str
    """The address of a picture; empty if there is none."""

    @classmethod
    def of(cls, slug: str) -> Self:
        agent = agents.find(slug)
        return cls(slug, agent.name, agent.picture)


class AgentCard(Struct, frozen=True):
    """An agent, as a conversation presents it: with what it is for, its model, and example prompts."""

    slug: str
    name: str
    picture: str
    description: str
    model: str
    starters: tuple[str, ...]

    @classmethod
    def of(cls, slug: str) -> Self:
        agent = agents.find(slug)
        return cls(slug, agent.name, agent.picture, agent.description, agents.model_of(agent), agent.starters)


class Yours(Struct, frozen=True):
    """A user's own view of a conversation."""

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
    answering: AgentName | None
    """The agent of the active run."""
    awaiting_approval: bool
    listed: bool
    """Whether it is in its participants' lists."""
    url: str
    object_url: str
    """The page of the site's object whose room this is; empty if there is none."""
    websocket: str
    created_at: datetime
    updated_at: datetime
    yours: Yours | None

    @classmethod
    def of(
        cls,
        row: "models.Conversation",
        *,
        run: str | None,
        responder: str | None,
        writers: int,
        yours: Yours | None = None,
    ) -> Self:
        """`run` is the status of the active run, `responder` its agent; `writers` how many participants can write."""
        cards = tuple(map(AgentCard.of, row.agents))
        return cls(
            id=row.id,
            title=row.title,
            agent=cards[0],
            agents=cards,
            answers=row.answers_for(writers),
            mode=row.mode,
            last_seq=row.last_seq,
            running=run is not None,
            answering=AgentName.of(responder) if responder else None,
            awaiting_approval=run == "awaiting_approval",
            listed=row.listed,
            object_url=row.object_url,
            url=addresses.page("conversation", row.id),
            websocket=f"{addresses.sockets()}{row.id}/",
            created_at=to_wire(row.created_at),
            updated_at=to_wire(row.updated_at),
            yours=yours,
        )
