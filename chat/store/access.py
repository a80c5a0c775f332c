"""Access re-check for a connected user: session still valid, still a participant. Renews a sliding session."""

from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY, get_user_model
from msgspec import Struct

from ..conf import conf
from ..models import Participant
from ..permissions import can_see, is_guest, policy
from .rooms import allows
from .sessions import is_valid, renew, session_store


class Access(Struct, frozen=True):
    """`signed_in`: the session is still this user's. `role` in the conversation, None if the user has no access.
    `may_use`: the site lets them use the chat.
    """

    signed_in: bool
    role: str | None
    may_use: bool = True


def check_access(user_id: Any, conversation_id: UUID | None, session_key: str | None) -> Access:
    """`conversation_id` is None for an inbox; `session_key` is None if the user was authenticated without a session."""
    if conversation_id is None:
        user, role = get_user_model()._default_manager.filter(pk=user_id).first(), None
    else:
        found = Participant.objects.select_related("user", "conversation")
        row = found.filter(user=user_id, conversation=conversation_id, conversation__deleted_at=None).first()
        if row is None:
            user = get_user_model()._default_manager.filter(pk=user_id).first()
            return Access(_is_signed_in(user, session_key), None)
        user, role = row.user, row.role if can_see(row) else None
        if not allows(row):  # by its rule, they are no participant of this room any more
            row.delete()
            role = None
    if not _is_signed_in(user, session_key):
        return Access(False, None)
    return Access(True, role, policy().can_use(user))


class StaffRights(Struct, frozen=True):
    """What a user may do on the dashboard."""

    watch: bool = False
    """See it."""
    stop: bool = False
    """Stop runs of all conversations."""
    breakers: bool = False
    """Open and close circuit breakers."""
    read: bool = False
    """Read what was written in all conversations."""


def staff_rights(user: Any) -> StaffRights:
    """Nothing without `view_dashboard`. Django keeps the permissions with the user's row."""
    if not is_staff_with(user, "nous_chat.view_dashboard"):
        return StaffRights()
    return StaffRights(
        watch=True,
        stop=user.has_perm("nous_chat.stop_run"),
        breakers=user.has_perm("nous_chat.manage_breakers"),
        read=not conf.SEAL_TRANSCRIPTS and user.has_perm("nous_chat.view_transcript"),
    )


def is_staff_with(user: Any, permission: str) -> bool:
    """Whether this is an active user of the staff, and has this permission."""
    return bool(getattr(user, "is_staff", False) and user.is_active and user.has_perm(permission))


def find_staff_rights(user_id: Any) -> StaffRights:
    """The same, of a row that is read now."""
    return staff_rights(get_user_model()._default_manager.filter(pk=user_id).first())


def _is_signed_in(user: Any | None, session_key: str | None) -> bool:
    if user is None or not user.is_active:
        return False
    return session_key is None or _session_belongs_to(session_key, user)


def _session_belongs_to(session_key: str, user: Any) -> bool:
    session = session_store()(session_key)
    named = is_guest(user) or session.get(SESSION_KEY) == user._meta.pk.value_to_string(user)
    if not named or not is_valid(session, user):
        return False
    renew(session)
    return True
