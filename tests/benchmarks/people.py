"""`python -m tests.benchmarks.people ALONE [TOGETHER]`: create signed-in users in DATABASE_URL.

ALONE users get a conversation each, TOGETHER users share one. Prints, as JSON, {"alone": [{"cookie", "conversation"}],
"together": ...}. This saves the benchmark a sign-in by password for each user.
"""

import json
import sys
from importlib import import_module
from typing import Any

import django


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


def main(alone: int, together: int = 0) -> None:
    django.setup()
    from django.contrib.auth import get_user_model
    from django.db import transaction

    from chat import store
    from chat.models import Participant

    shared = None
    seats: dict[str, list[dict[str, str]]] = {"alone": [], "together": []}
    with transaction.atomic():
        for i in range(alone + together):
            user = get_user_model().objects.create_user(f"person{i}")
            cookie = session_cookie(user)
            if i < alone or shared is None:
                conversation = store.create_conversation(user)
                shared = conversation if i >= alone else None
            else:
                Participant.objects.create(conversation_id=shared.id, user=user)
            kind = "alone" if i < alone else "together"
            seats[kind].append({"cookie": cookie, "conversation": str(conversation.id)})
    print(json.dumps(seats))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
