"""Who is signed in to which session. Read for all sockets that connect at the same time.

The decisions are those of `django.contrib.auth.get_user`, but no session is replaced. After a rotation of SECRET_KEY
that would give a session a new key, and a socket cannot tell its browser: the user would be signed out.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model, load_backend
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import cache, db
from django.core.cache import caches
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from ..conf import conf
from ..models import Guest
from ..permissions import is_guest
from .guests import is_active_guest

Claim = tuple[str, Any]
"""The authentication backend and the primary key of the user that a session names, or GUEST and that of a guest."""

GUEST = ""


def session_store() -> Any:
    """The class of the site's sessions."""
    return import_module(settings.SESSION_ENGINE).SessionStore


def find_users(session_keys: Sequence[str]) -> list[Any]:
    """The row of the user who is signed in to each of these sessions, or of its guest; None if there is nobody."""
    sessions = _load_sessions(set(session_keys))
    claims = {key: claim for key, session in sessions.items() if (claim := _read_claim(session))}
    users = _load_users(set(claims.values()))
    found = {key: user for key, claim in claims.items() if (user := users.get(claim)) is not None}
    return [found[key] if key in found and is_valid(sessions[key], found[key]) else None for key in session_keys]


def is_valid(session: Any, user: Any) -> bool:
    """Whether the user has the same password as when they signed in to this session, or is its guest."""
    if is_guest(user):
        return SESSION_KEY not in session and session.get(Guest.SESSION_KEY) == user._meta.pk.value_to_string(user)
    if not hasattr(user, "get_session_auth_hash"):
        return True
    stored = session.get(HASH_SESSION_KEY) or ""
    if constant_time_compare(stored, user.get_session_auth_hash()):
        return True
    return any(constant_time_compare(stored, valid) for valid in user.get_session_auth_fallback_hash())


def renew(session: Any) -> None:
    """With SESSION_SAVE_EVERY_REQUEST, let a session last for its whole time again, like a request to a page: it may be
    the only sign of a user who reads for hours. Its data stays as it is: a request may be changing it. Sessions in
    files and in cookies are not renewed.
    """
    if not settings.SESSION_SAVE_EVERY_REQUEST:
        return
    age = session.get_expiry_age()
    if isinstance(session, db.SessionStore):
        rows = session.get_model_class()._default_manager.filter(session_key=session.session_key)
        now = timezone.now()
        # Not with each re-check of each socket, but when a tenth of the time is over.
        rows.filter(expire_date__lt=now + timedelta(seconds=age * 0.9)).update(expire_date=now + timedelta(seconds=age))
    elif isinstance(session, cache.SessionStore):
        caches[settings.SESSION_CACHE_ALIAS].touch(session.cache_key, age)


def sessions_are_rows() -> bool:
    """Whether many sessions can be read with one statement."""
    return session_store().load is db.SessionStore.load


def _load_sessions(keys: set[str]) -> dict[str, Any]:
    store = session_store()
    if not sessions_are_rows():
        return {key: store(key) for key in keys}  # a cache, say; read when it is first looked at
    rows = store.get_model_class().objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    decode = store().decode
    return {key: decode(data) for key, data in rows.values_list("session_key", "session_data")}


def _read_claim(session: Any) -> Claim | None:
    try:
        backend, user_id = session[BACKEND_SESSION_KEY], session[SESSION_KEY]
    except KeyError:
        guest = session.get(Guest.SESSION_KEY)
        return None if guest is None or conf.GUESTS is None else (GUEST, get_user_model()._meta.pk.to_python(guest))
    if backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    return backend, get_user_model()._meta.pk.to_python(user_id)


def _load_users(claims: set[Claim]) -> Mapping[Claim, Any]:
    found: dict[Claim, Any] = {}
    for path in {path for path, _ in claims}:
        keys = {key for claimed, key in claims if claimed == path}
        if path == GUEST:
            rows = get_user_model()._default_manager.in_bulk(keys)
            found |= {(path, key): row for key, row in rows.items() if is_active_guest(row)}
            continue
        backend = load_backend(path)
        if isinstance(backend, ModelBackend) and type(backend).get_user is ModelBackend.get_user:
            rows = get_user_model()._default_manager.in_bulk(keys)
            found |= {(path, key): row for key, row in rows.items() if backend.user_can_authenticate(row)}
        else:
            found |= {(path, key): backend.get_user(key) for key in keys}
    return found
