"""Revocation of access: Django's signals in, messages to `groups.account` out.

When a user logs out, is deactivated, changes password, changes role, or revokes a token, all of their sockets and
streams, in every process, re-check access immediately. Changes that send no signal (rows changed by `update()`) are
noticed within a minute.
"""

import hashlib
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from ..concurrency import after_commit
from ..models import ApiToken, Participant
from . import groups, layer
from .layer import LayerMessage


@receiver(user_logged_out)
def signed_out(request: Any, user: Any, **_: Any) -> None:
    """Close the sockets of one session."""
    session = getattr(request, "session", None)
    if user is not None and session is not None:
        _send_on_commit(user.pk, {"type": "signed_out", "session": session_name(session.session_key)})


def session_name(key: str | None) -> str:
    """A session's name between processes. Its key would open it, so that is never sent."""
    return hashlib.sha256((key or "").encode()).hexdigest()


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def user_saved(instance: Any, created: bool, **_: Any) -> None:
    """Re-check a user who was deactivated or got a new password. Sites save users for many other reasons."""
    if not created and (not instance.is_active or getattr(instance, "_password", None) is not None):
        recheck(instance.pk)


@receiver([post_save, post_delete], sender=Participant)
def participant_changed(instance: Participant, created: bool = False, **_: Any) -> None:
    """Re-check a participant whose role has changed, or who was removed."""
    if not created:
        recheck(instance.user_id)


def recheck(user_id: Any) -> None:
    """Have all sockets of a user, in every process, re-check their access after the current transaction."""
    _send_on_commit(user_id, {"type": "check_access"})


@receiver(post_delete, sender=ApiToken)
def token_revoked(instance: ApiToken, **_: Any) -> None:
    """Close the streams and sockets of a revoked token: they re-check it."""
    _send_on_commit(instance.user_id, {"type": "check_access"})


def _send_on_commit(user_id: Any, message: LayerMessage) -> None:
    after_commit(partial(layer.send_to_group, groups.account(user_id), message))
