"""`python -m tests.benchmarks.people NUMBER [TOGETHER]`: that many people on DATABASE_URL, each signed in and with a
conversation of his own, and as many as TOGETHER says in one room; prints both as JSON: {"alone": [{"cookie",
"conversation"}], "together": ...}. Saves the benchmark a sign-in by password for each.
"""

import json
import sys
from importlib import import_module

import django


def main(number: int, together: int = 0) -> None:
    django.setup()
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.db import transaction

    from chat import store
    from chat.models import Participant

    sessions = import_module(settings.SESSION_ENGINE)
    room = None
    seats: dict[str, list[dict[str, str]]] = {"alone": [], "together": []}
    with transaction.atomic():
        for i in range(number + together):
            user = get_user_model().objects.create_user(f"person{i}")
            session = sessions.SessionStore()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.create()
            cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
            if i < number or room is None:
                conversation = store.create_conversation(user)
                room = conversation if i >= number else None
            else:
                Participant.objects.create(conversation_id=room.id, user=user)
            where = "alone" if i < number else "together"
            seats[where].append({"cookie": cookie, "conversation": str(conversation.id)})
    print(json.dumps(seats))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
