"""`python -m tests.abuse.people ATTACKERS CROWD HISTORY`: create the users and conversations of an abuse run in
DATABASE_URL, and print their Cast as JSON.

All are signed in, because a sign-in by password for each would take minutes.
"""

import sys
from typing import Any

import django
import msgspec

from ..benchmarks.people import session_cookie
from ..support.servers import PASSWORD

AGENT, MODEL = "assistant", "told"
"""The agents of settings.py: the one that streams at a steady pace, and the one that the question tells what to do."""

STREAMS = 20
"""Conversations in which the bystander reads streams, one after another. They keep each snapshot short."""


class Seat(msgspec.Struct):
    """A signed-in user with a conversation of their own."""

    name: str
    cookie: str
    conversation: str


class Cast(msgspec.Struct):
    """The people of a run."""

    bystander: Seat
    friend: Seat
    """Another participant of the bystander's conversation."""

    streams: list[str]
    """The conversations in which the bystander reads streams."""

    attackers: list[Seat]
    """Each has a conversation with the agent MODEL."""

    accounts: list[str]
    """Names of users with the password PASSWORD."""

    crowd: list[Seat]
    """Participants of one conversation. The first one owns it."""

    owner: Seat
    """Owner of a conversation with a long history."""

    last_message: str
    """The newest message of that conversation."""


def create_cast(attackers: int, crowd: int, history: int) -> Cast:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password

    from chat import store
    from chat.models import Conversation, Message, Participant

    users = get_user_model().objects

    def seat(name: str, agent: str | None = None, answers: str = "off", conversation: str = "") -> Seat:
        user = users.create_user(name)
        created = conversation or str(store.create_conversation(user, "", agent).id)
        if conversation:
            Participant.objects.create(conversation_id=conversation, user=user)
        elif answers:
            Conversation.objects.filter(pk=created).update(answers=answers)
        return Seat(name, session_cookie(user), created)

    password = make_password(PASSWORD)  # once: it is made to be slow
    accounts = [users.create(username=f"account{i}", password=password).username for i in range(30)]
    bystander = seat("bystander")
    friend = seat("friend", conversation=bystander.conversation)
    streams = [_stream(users.get(username="bystander")) for _ in range(STREAMS)]
    chief = seat("crowd0")
    others = [seat(f"crowd{i}", conversation=chief.conversation) for i in range(1, crowd)]
    owner = seat("owner")
    author = users.get(username="owner")
    rows = [
        Message(conversation_id=owner.conversation, seq=i, role="user", author=author, text=f"Message {i} of many. ")
        for i in range(1, history + 1)
    ]
    Message.objects.bulk_create(rows, batch_size=500)
    for row in rows:
        store.search.index_message(row)
    Conversation.objects.filter(pk=owner.conversation).update(last_seq=history)
    return Cast(
        bystander=bystander,
        friend=friend,
        streams=streams,
        attackers=[seat(f"attacker{i}", MODEL, "always") for i in range(attackers)],
        accounts=accounts,
        crowd=[chief, *others],
        owner=owner,
        last_message=str(rows[-1].pk),
    )


def _stream(user: Any) -> str:
    from chat import store
    from chat.models import Conversation

    created = store.create_conversation(user, "", AGENT)
    Conversation.objects.filter(pk=created.id).update(answers="always")
    return str(created.id)


def main(attackers: int, crowd: int, history: int) -> None:
    django.setup()
    from django.db import transaction

    with transaction.atomic():
        cast = create_cast(attackers, crowd, history)
    print(msgspec.json.encode(cast).decode())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
