"""People: users, participants, and invitations."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import UUID

from msgspec import Struct

from ... import addresses
from ...permissions import picture_of, policy
from ...times import to_wire

if TYPE_CHECKING:
    from ... import models

Role = Literal["owner", "member", "viewer"]


class Person(Struct, frozen=True):
    id: str
    name: str
    picture: str = ""
    """The address of a picture; empty if there is none."""

    @classmethod
    def of(cls, user: Any) -> Self:
        """`user` is a row of the site's user model."""
        return cls(id=str(user.pk), name=policy().name(user), picture=picture_of(user))


def person(user: Any | None) -> Person | None:
    return None if user is None else Person.of(user)


class You(Struct, frozen=True):
    """The user of this socket: their role in the conversation, and whether they are staff of the site."""

    id: str
    name: str
    picture: str
    role: str
    staff: bool


class Participant(Struct, frozen=True):
    id: str
    user: Person
    role: str
    joined_at: datetime

    @classmethod
    def of(cls, row: "models.Participant") -> Self:
        return cls(id=str(row.pk), user=Person.of(row.user), role=row.role, joined_at=to_wire(row.joined_at))


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
            url=addresses.page("join", token),
            role=row.role,
            expires_at=to_wire(row.expires_at),
            max_uses=row.max_uses,
            uses=row.uses,
            created_by=Person.of(row.created_by),
            created_at=to_wire(row.created_at),
        )
