"""Settings that existing sites have, each in a site of its own: people sign in, talk, and read everywhere."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ..support import servers
from ..support.client import signed_in
from ..support.host import FOLDER, Hosts, HostSite, Member, manage_host
from ..support.servers import Site, Uvicorn
from ..support.upstream import text

LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
BUDGETS = {
    "WEBSOCKET_URL": "/live/talk/",
    "MODEL": "custom:words",
    "BUDGETS": [{"per": "user", "period": "day", "tokens": 1_000_000}],
}
SITES: dict[str, dict[str, Any]] = {
    "without time zones": {"USE_TZ": False, "TIME_ZONE": "Asia/Kathmandu", "NOUS_CHAT": BUDGETS},
    "another time zone": {"TIME_ZONE": "Asia/Kathmandu"},
    "thousand separators": {"USE_THOUSAND_SEPARATOR": True, "LANGUAGE_CODE": "de", "USE_I18N": True},
    "sign-in for every page": {"MIDDLEWARE+": [LOGIN_REQUIRED]},
    "cache for the whole site": {
        "+MIDDLEWARE": ["django.middleware.cache.UpdateCacheMiddleware"],
        "MIDDLEWARE+": ["django.middleware.cache.FetchFromCacheMiddleware"],
    },
    "sliding sessions": {"SESSION_SAVE_EVERY_REQUEST": True, "SESSION_COOKIE_AGE": 600},
    "signed cookies as sessions": {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"},
    "cached sessions": {"SESSION_ENGINE": "django.contrib.sessions.backends.cached_db"},
    "CSRF tokens in sessions": {"CSRF_USE_SESSIONS": True},
    "the default hosts of DEBUG": {"ALLOWED_HOSTS": []},
    "hashed static files": {
        "STORAGES": {
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
        },
        "STATIC_ROOT": "/nonexistent",  # required, and not used with DEBUG
    },
    "one big integer as key of everything": {"DEFAULT_AUTO_FIELD": "django.db.models.AutoField"},
    "conditional and compressed answers": {
        "+MIDDLEWARE": ["django.middleware.gzip.GZipMiddleware", "django.middleware.http.ConditionalGetMiddleware"]
    },
}


IN_CI = {
    "without time zones",
    "sign-in for every page",
    "cache for the whole site",
    "hashed static files",
    "setting, left by the proxy",
}
"""What has the least to do with the others. The rest is slow."""


class Visitor(Member):
    """Takes the CSRF token from the API, because some settings keep it in the session."""

    token = ""

    @property
    def csrf(self) -> dict[str, str]:
        return {"X-CSRFToken": self.token}


@pytest.mark.parametrize(
    "settings",
    [pytest.param(SITES[name], id=name, marks=() if name in IN_CI else pytest.mark.slow) for name in SITES],
)
def test_a_site_with_such_settings_has_a_chat(settings: dict[str, Any], hosts: Hosts) -> None:
    site = hosts.start(settings)

    async def talk() -> None:
        async with signed_in(site, "ada", "/enter/") as person, signed_in(site, "bob", "/enter/") as stranger:
            ada, bob = Visitor(site, person.http), Member(site, stranger.http)
            ada.token = (await ada.http.get("/talk/api/token/")).json()["csrf"]
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                finished = await socket.hear("run.finished")
                assert (finished["status"], finished["message"]["text"]) == ("completed", text(20))
            asked, answer = await ada.messages(conversation)
            assert [asked["text"], answer["text"]] == ["Hello", text(20)]
            age = datetime.now(UTC) - datetime.fromisoformat(asked["created_at"])
            assert timedelta(0) < age < timedelta(minutes=5), "the time has an offset, and the right one"
            (listed,) = (await ada.http.get("/talk/api/conversations/")).json()["conversations"]
            before = await ada.http.get("/talk/api/conversations/", params={"before": listed["updated_at"]})
            assert before.json()["conversations"] == []
            for address in ("/talk/", listed["url"], f"/pages/{conversation}/"):
                page = await ada.http.get(address)
                assert page.status_code == 200, address
                assert "<nous-chat" in page.text, address
            api = await ada.http.get(f"/talk/api/conversations/{conversation}/messages/")
            assert api.headers["Cache-Control"] == "private, no-store"
            assert (await bob.http.get(f"/talk/api/conversations/{conversation}/messages/")).status_code == 404
            assert "Hello" not in (await bob.http.get("/talk/plain/")).text
            form = {"text": "By the form", "csrfmiddlewaretoken": ada.token}
            posted = await ada.http.post(f"/talk/{conversation}/say/", data=form)
            assert posted.status_code == 302, posted.text

    with servers.running(site):
        asyncio.run(talk())
    manage_host(site.env, "check", "--fail-level", "ERROR")


class HostUvicorn(Uvicorn):
    folder = FOLDER


FORCED = {"FORCE_SCRIPT_NAME": "/app"}
PREFIXED: dict[str, tuple[str, Callable[[Hosts], Site]]] = {
    "setting, removed by the proxy": ("", lambda hosts: hosts.start(FORCED)),
    "setting, left by the proxy": ("/app", lambda hosts: hosts.start(FORCED)),
    "daphne, left by the proxy": (
        "/app",
        lambda hosts: HostSite(hosts.environment(), command=("daphne", "--root-path", "/app", "host.asgi:application")),
    ),
    "uvicorn, removed by the proxy": (
        "",
        lambda hosts: HostUvicorn(
            hosts.environment(), command=("host.asgi:application", "--root-path", "/app"), plain=True
        ),
    ),
}


@pytest.mark.parametrize(
    ("at", "start"),
    [pytest.param(*PREFIXED[name], id=name, marks=() if name in IN_CI else pytest.mark.slow) for name in PREFIXED],
)
def test_a_site_under_a_path_prefix_has_a_chat(at: str, start: Callable[[Hosts], Site], hosts: Hosts) -> None:
    """`at` is the prefix of the paths that the server gets; those that browsers get have /app."""
    site = start(hosts)

    async def talk() -> None:
        async with signed_in(site, "ada", f"{at}/enter/") as person:
            ada = Member(site, person.http)
            ada.prefix, ada.socket_prefix = f"{at}/talk/", f"{at}/live/talk/"
            conversation = await ada.new_conversation()
            public = {"url": f"/app/talk/{conversation}/", "websocket": f"/app/live/talk/{conversation}/"}
            async with ada.socket() as inbox, ada.socket(conversation) as socket:
                await socket.say("Hello")
                assert (await socket.hear("run.finished"))["status"] == "completed"
                updated = await inbox.hear("conversation.updated")
                assert socket.snapshot is not None
                for told in (socket.snapshot["conversation"], updated["conversation"]):
                    assert told.items() >= public.items()
            page = (await ada.http.get(f"{ada.prefix}{conversation}/")).text
            assert 'socket="/app/live/talk/"' in page
            assert 'base="/app/talk/"' in page
            upload = await ada.http.post(
                f"{ada.prefix}api/conversations/{conversation}/attachments/",
                files={"file": ("notes.txt", b"x" * 100_000, "text/plain")},
                headers=ada.csrf,
            )
            assert upload.status_code == 201, upload.text
            assert upload.json()["url"].startswith("/app/talk/attachments/")

    with servers.running(site):
        asyncio.run(talk())
