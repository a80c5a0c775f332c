"""`python -m tests.benchmarks.people SIZES`: create signed-in users in DATABASE_URL, and their conversations.

SIZES are Sizes as JSON; prints a Cast as JSON. This saves the benchmark a sign-in by password for each user.
"""

import sys
from importlib import import_module
from typing import Any
from uuid import UUID

import django
import msgspec

QUESTION = "What does the harbour master write in the log, and why does the tide matter for that? (question {n})"
ANSWER = (
    "In short: **the tide decides** when a ship may enter, so it is noted first. Entry {n} lists three facts.\n\n"
    "1. The time of high water, and its height in metres\n"
    "2. The draught of each ship that waits outside\n"
    "3. The wind, because it moves the water as well\n\n"
    "The master compares the first two and leaves a metre between keel and ground. More is better in a northerly gale, "
    "which lowers the water in the basin by half a metre within the hour."
)
"""Earlier messages: about 100 and 450 characters."""

RETURNING_HISTORY = 10

WRITER = "writer"
"""The agent that writes documents."""


class Sizes(msgspec.Struct):
    """How many users there are."""

    alone: dict[int, int]
    """With a conversation of their own, by the number of its earlier messages. Askers."""

    returning: int = 0
    """Likewise, with RETURNING_HISTORY messages. They come back after a restart."""

    together: int = 0
    """Participants of one conversation."""

    writing: int = 0
    """With a conversation of their own with WRITER."""

    staff: bool = False
    """Whether there is somebody who may see the dashboard."""

    def dump(self) -> str:
        return msgspec.json.encode(self).decode()


class Seat(msgspec.Struct):
    """A signed-in user in a conversation."""

    cookie: str
    conversation: str


class Cast(msgspec.Struct):
    """The users whom Sizes describe."""

    alone: dict[int, list[Seat]]
    returning: list[Seat]
    together: list[Seat]
    writing: list[Seat]
    staff: str
    """The cookie of somebody who may see the dashboard; "" if there is nobody."""

    @classmethod
    def load(cls, printed: str) -> "Cast":
        return msgspec.json.decode(printed, type=cls)


def session_cookie(user: Any) -> str:
    """The cookie of a new session of this user."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def create_seat(name: str, history: int = 0) -> Seat:
    user, conversation_id = create_asker(name, history)
    return Seat(session_cookie(user), str(conversation_id))


def create_asker(name: str, history: int = 0) -> tuple[Any, UUID]:
    """A user, and the id of a conversation of their own with so many earlier messages."""
    from django.contrib.auth import get_user_model

    from chat import store

    user = get_user_model().objects.create_user(name)
    conversation = store.create_conversation(user)
    if history:
        _fill(conversation.id, user, history)
    return user, conversation.id


def _fill(conversation_id: Any, author: Any, history: int) -> None:
    """Add earlier messages, questions and answers in turn, with everything that the chat stores of them."""
    from chat.fulltext import make_index_text
    from chat.models import Conversation, Message, Participant, Passage, Run

    questions, answers = Message.Role.USER, Message.Role.ASSISTANT
    messages = []
    for n in range(1, history + 1):
        asks = n % 2 == 1
        text = (QUESTION if asks else ANSWER).format(n=n)
        message = Message(conversation_id=conversation_id, seq=n, role=questions if asks else answers, text=text)
        message.author = author if asks else None
        messages.append(message)
    Message.objects.bulk_create(messages)
    Run.objects.bulk_create(
        Run(
            conversation_id=conversation_id,
            message=message,
            status=Run.Status.COMPLETED,
            agent="assistant",
            model="custom:bench",
            launched_by=author,
            host="earlier",
            finish_reason="stop",
            total_tokens=message.seq,
            started_at=message.created_at,
            finished_at=message.created_at,
        )
        for message in messages
        if message.role == answers
    )
    Passage.objects.bulk_create(
        Passage(conversation_id=conversation_id, message=message, text=make_index_text(message.text))
        for message in messages
    )
    Conversation.objects.filter(pk=conversation_id).update(
        last_seq=history, title="The harbour master", title_from=Conversation.TitleFrom.WORDS
    )
    Participant.objects.filter(conversation=conversation_id).update(last_read=history)


def create_cast(sizes: Sizes) -> Cast:
    from django.contrib.auth import get_user_model
    from django.db import transaction

    from chat.models import Conversation, Participant

    alone: dict[int, list[Seat]] = {}
    together: list[Seat] = []
    with transaction.atomic():
        for history, number in sizes.alone.items():
            alone[history] = [create_seat(f"person{history}-{i}", history) for i in range(number)]
        returning = [create_seat(f"person-returning{i}", RETURNING_HISTORY) for i in range(sizes.returning)]
        for i in range(sizes.together):
            if not together:
                together.append(create_seat("person-together"))
                continue
            user = get_user_model().objects.create_user(f"person-together{i}")
            Participant.objects.create(conversation_id=together[0].conversation, user=user)
            together.append(Seat(session_cookie(user), together[0].conversation))
        writing = [create_seat(f"person-writing{i}") for i in range(sizes.writing)]
        Conversation.objects.filter(pk__in=[seat.conversation for seat in writing]).update(agent=WRITER)
        root = get_user_model().objects.create_superuser("person-staff") if sizes.staff else None
    return Cast(alone, returning, together, writing, session_cookie(root) if root else "")


def main(sizes: str) -> None:
    django.setup()
    from django.db import connection, connections

    cast = create_cast(msgspec.json.decode(sizes, type=Sizes))
    if connection.vendor == "postgresql":  # as autovacuum does within minutes, on a database that grew
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    connections.close_all()  # now the file holds everything, see tests/support/prepare.py
    print(msgspec.json.encode(cast).decode())


if __name__ == "__main__":
    main(sys.argv[1])
