"""`python -m tests.benchmarks.people NUMBER`: that many people on DATABASE_URL, each signed in and with a conversation
of his own; prints them as JSON: [{"cookie", "conversation"}]. Saves the benchmark a sign-in by password for each.
"""

import json
import sys
from importlib import import_module

import django


def main(number: int) -> None:
    django.setup()
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.db import transaction

    from chat import store

    sessions = import_module(settings.SESSION_ENGINE)
    seats = []
    with transaction.atomic():
        for i in range(number):
            user = get_user_model().objects.create_user(f"person{i}")
            session = sessions.SessionStore()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.create()
            conversation = store.create_conversation(user)
            cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
            seats.append({"cookie": cookie, "conversation": str(conversation.id)})
    print(json.dumps(seats))


if __name__ == "__main__":
    main(int(sys.argv[1]))
