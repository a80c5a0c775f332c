"""Whose sessions the cookies of sockets name: as Django's own middleware decides, but without a write."""

import time
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import cache
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.utils import timezone

from chat import store

pytestmark = pytest.mark.django_db

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


def sign_in(user: Any, backend: str = MODEL_BACKEND) -> str:
    """The key of a new session."""
    session = import_module(django_settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = backend
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def test_each_session_has_its_own_user(people: dict[str, Any], django_assert_num_queries: Any) -> None:
    ada, bob = sign_in(people["ada"]), sign_in(people["bob"])
    with django_assert_num_queries(2):
        assert store.find_users([ada, "unknown-key", bob, ada]) == [people["ada"], None, people["bob"], people["ada"]]


def test_nobody_is_found_whose_session_is_not_valid_any_more(people: dict[str, Any], settings: Any) -> None:
    expired, elsewhere, deactivated, changed = (sign_in(people["ada"]) for _ in range(4))
    Session.objects.filter(pk=expired).update(expire_date=timezone.now() - timedelta(seconds=1))
    anonymous = import_module(settings.SESSION_ENGINE).SessionStore()
    anonymous.create()
    assert store.find_users([expired, anonymous.session_key, elsewhere]) == [None, None, people["ada"]]
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.OnlyBob"]
    assert store.find_users([elsewhere]) == [None]
    settings.AUTHENTICATION_BACKENDS = [MODEL_BACKEND]
    people["ada"].is_active = False
    people["ada"].save()
    assert store.find_users([deactivated]) == [None]
    people["ada"].is_active = True
    people["ada"].set_password("another")
    people["ada"].save()
    assert store.find_users([changed]) == [None]


class OnlyBob(ModelBackend):
    def get_user(self, user_id: Any) -> Any:
        found = super().get_user(user_id)
        return found if found is not None and found.username == "bob" else None


def test_a_backend_of_the_site_decides(people: dict[str, Any], settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = [MODEL_BACKEND, path := f"{__name__}.OnlyBob"]
    keys = [sign_in(people["ada"], path), sign_in(people["bob"], path), sign_in(people["ada"])]
    assert store.find_users(keys) == [None, people["bob"], people["ada"]]


@pytest.mark.parametrize("engine", ["cached_db", "cache", "db"])
def test_sessions_may_be_kept_anywhere(people: dict[str, Any], settings: Any, engine: str) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    key = sign_in(people["ada"])
    assert store.find_users([key, "unknown-key"]) == [people["ada"], None]


def test_a_socket_after_a_rotation_of_the_key_does_not_sign_its_user_out(people: dict[str, Any], settings: Any) -> None:
    key = sign_in(people["ada"])
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next one"
    assert store.find_users([key]) == [people["ada"]]
    assert Session.objects.filter(pk=key).exists()
    settings.SECRET_KEY_FALLBACKS = []
    assert store.find_users([key]) == [None]


ENGINES = [f"django.contrib.sessions.backends.{name}" for name in ("db", "cached_db", "cache")]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("is_sliding", [True, False])
def test_an_open_socket_renews_a_sliding_session(
    people: dict[str, Any], settings: Any, engine: str, is_sliding: bool
) -> None:
    settings.SESSION_ENGINE, settings.SESSION_SAVE_EVERY_REQUEST = engine, is_sliding
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": engine}}
    key = sign_in(people["ada"])
    if engine.endswith(".cache"):
        caches["default"].touch(f"{cache.KEY_PREFIX}{key}", 5)
    else:
        Session.objects.filter(pk=key).update(expire_date=timezone.now() + timedelta(seconds=5))

    assert store.check_access(people["ada"].pk, None, key).signed_in

    if engine.endswith(".cache"):
        expires = getattr(caches["default"], "_expire_info")[f":1:{cache.KEY_PREFIX}{key}"] - time.time()  # noqa: B009
    else:
        expires = (Session.objects.get(pk=key).expire_date - timezone.now()).total_seconds()
    assert (expires > settings.SESSION_COOKIE_AGE - 60) == is_sliding


def test_a_session_is_not_renewed_with_each_re_check(people: dict[str, Any], settings: Any) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    key = sign_in(people["ada"])
    before = Session.objects.get(pk=key).expire_date
    assert store.check_access(people["ada"].pk, None, key).signed_in
    assert Session.objects.get(pk=key).expire_date == before
