"""Who is signed out, deactivated, has a new password, or is in a conversation no more or in another role, is looked at
by all his sockets at once, in whichever process: Django's signals in, messages to `groups.account` out. What no signal
tells (rows changed by `update()`) his sockets see within a minute.
"""

import asyncio
import hashlib
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from ..models import Participant
from . import groups


@receiver(user_logged_out)
def signed_out(request: Any, user: Any, **_: Any) -> None:
    session = getattr(request, "session", None)
    if user is not None and session is not None:
        _tell(user.pk, {"type": "signed_out", "session": session_name(session.session_key)})


def session_name(key: str | None) -> str:
    """What a session is called between processes. Its key opens it, so that is not sent around."""
    return hashlib.sha256((key or "").encode()).hexdigest()


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def user_saved(instance: Any, created: bool, **_: Any) -> None:
    """Only what ends sessions counts: a site saves its users for many other reasons."""
    if not created and (not instance.is_active or getattr(instance, "_password", None) is not None):
        _tell(instance.pk, {"type": "look"})


@receiver([post_save, post_delete], sender=Participant)
def participant_changed(instance: Participant, created: bool = False, **_: Any) -> None:
    if not created:
        _tell(instance.user_id, {"type": "look"})


def _tell(user_id: Any, message: groups.LayerMessage) -> None:
    transaction.on_commit(partial(_send, user_id, message))


def _send(user_id: Any, message: groups.LayerMessage) -> None:
    """From the thread of a view or of a command, or from an event loop's own."""
    group = groups.account(user_id)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(groups.tell)(group, message)
    else:
        task = loop.create_task(groups.tell(group, message))
        _sending.add(task)
        task.add_done_callback(_sending.discard)


_sending: set[asyncio.Task[None]] = set()
