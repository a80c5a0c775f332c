"""`manage.py nous_doctor`: sites that are broken for real, and the doctor must say what is wrong, and nothing else."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from chat.monitoring import doctor
from chat.monitoring.doctor.page import Page

from ..support import servers
from ..support.nginx import IS_INSTALLED, Proxy, running_nginx
from ..support.servers import PASSWORD, Server, Site, Upstream, free_port
from .test_nginx import nginx as as_deployed

StartSite = Callable[..., Site]
StopAfter = Callable[[Any], Any]

needs_nginx = pytest.mark.skipif(not IS_INSTALLED, reason="nginx is not installed")

HOST = "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;"
HEADERS = f"proxy_http_version 1.1; {HOST}"
UPGRADE = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'

DEMO = {"name": "Demo", "model": "demo:tour"}


class Diagnosis:
    """What the doctor prints with --json, and its exit code."""

    def __init__(self, site: Site, url: str, password: str = PASSWORD, idle: int = 1, **env: str) -> None:
        options = ["--username=ada", "--password", password, "--json", f"--idle={idle}"]
        try:
            output, self.exit_code = servers.run(["manage.py", "nous_doctor", url, *options], site.env | env), 0
        except subprocess.CalledProcessError as error:
            output, self.exit_code = error.output, error.returncode
        printed = json.loads(output)
        self.ok: bool = printed["ok"]
        self.measured: dict[str, float] = printed["measured"]
        self.findings: dict[str, dict[str, str]] = {finding["code"]: finding for finding in printed["findings"]}
        for finding in printed["findings"]:
            assert set(finding) == {"code", "message", "fix"}
            assert all(finding.values())

    def finds(self, code: str, *, fix: str) -> None:
        """Exactly this is wrong, and this is in what to change."""
        assert list(self.findings) == [code], self.findings
        assert not self.ok
        assert self.exit_code == 1
        assert fix in self.findings[code]["fix"]


@pytest.fixture
def proxied(tmp_path: Path) -> Callable[..., AbstractContextManager[Proxy]]:
    """nginx with these locations, in front of processes of a site: `proxied("location / {...}", site)`."""

    @contextmanager
    def start(locations: str, *sites: Site) -> Iterator[Proxy]:
        port = free_port()
        backends = " ".join(f"server 127.0.0.1:{site.port};" for site in sites)
        upstream = f"upstream site {{ {backends} }}"
        with running_nginx(
            tmp_path, port, f"{upstream} access_log off; server {{ listen 127.0.0.1:{port}; {locations} }}"
        ) as proxy:
            yield proxy

    return start


@pytest.fixture
def own_redis() -> Iterator[Server]:
    """One that a test may change."""
    server = servers.start_redis()
    with servers.running(server):
        yield server


def two_processes(site: Site, stop_after: StopAfter) -> tuple[Site, Site]:
    return site, stop_after(site.second_process())


# --- Nothing is wrong


@needs_nginx
def test_a_site_as_the_docs_deploy_it_is_well(
    start_site: StartSite, stop_after: StopAfter, redis: str, tmp_path: Path
) -> None:
    one, two = two_processes(start_site(REDIS_URL=redis), stop_after)
    with as_deployed(tmp_path, one.port, two.port) as proxy:
        found = Diagnosis(one, proxy.url)
    assert found.findings == {}
    assert found.ok
    assert found.exit_code == 0
    assert 0.3 < found.measured["first_token"] < 60, "the demo waits for 0.4 seconds"
    assert found.measured["lag"] >= 0


def test_it_prints_sentences_and_leaves_nothing_behind(start_site: StartSite) -> None:
    site = start_site()
    printed = servers.manage(
        site.env, "nous_doctor", f"{site.url}/chat/", "--username=ada", "--password", PASSWORD, "--idle=1"
    )
    assert "The first piece of the answer comes after" in printed
    assert printed.strip().endswith("Nothing is wrong.")
    left = servers.manage(
        site.env,
        "shell",
        "--no-imports",
        "-c",
        "from chat.models import Conversation as C; print(C.objects.filter(deleted_at=None).count())",
    )
    assert left.strip() == "0"


# --- Ten ways to break a site


@needs_nginx
def test_it_finds_a_proxy_that_buffers(
    start_site: StartSite, proxied: Callable[..., AbstractContextManager[Proxy]]
) -> None:
    site = start_site()
    buffering = f"""
        location / {{ proxy_pass http://site; {HOST} proxy_ignore_headers X-Accel-Buffering; proxy_http_version 1.0; }}
        location /ws/ {{ proxy_pass http://site; {HEADERS} {UPGRADE} }}
    """
    with proxied(buffering, site) as proxy:
        Diagnosis(site, proxy.url).finds("buffering", fix="proxy_buffering off;")


@needs_nginx
def test_it_finds_a_wrong_origin(start_site: StartSite, proxied: Callable[..., AbstractContextManager[Proxy]]) -> None:
    site = start_site(ALLOWED_HOSTS="site")
    with proxied(f"location / {{ proxy_pass http://site; proxy_http_version 1.1; {UPGRADE} }}", site) as proxy:
        Diagnosis(site, proxy.url).finds("wrong_origin", fix=f"add {proxy.url} to CSRF_TRUSTED_ORIGINS")


def test_it_finds_a_host_that_is_not_allowed(start_site: StartSite) -> None:
    site = start_site(ALLOWED_HOSTS="chat.example.org")
    Diagnosis(site, site.url).finds("wrong_host", fix="Add 127.0.0.1 to ALLOWED_HOSTS")


@needs_nginx
def test_it_finds_a_wrong_path_prefix(
    start_site: StartSite, proxied: Callable[..., AbstractContextManager[Proxy]]
) -> None:
    site = start_site()
    prefixed = f"location /nous/ {{ proxy_pass http://site/; {HEADERS} {UPGRADE} }}"
    with proxied(prefixed, site) as proxy:
        Diagnosis(site, f"{proxy.url}/nous/").finds("wrong_prefix", fix='FORCE_SCRIPT_NAME = "/nous"')


def test_it_finds_that_redis_is_not_there(start_site: StartSite) -> None:
    site = start_site(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    Diagnosis(site, site.url).finds("redis_unreachable", fix="REDIS_URL")


@needs_nginx
def test_it_finds_an_in_memory_layer_under_two_processes(
    start_site: StartSite, stop_after: StopAfter, proxied: Callable[..., AbstractContextManager[Proxy]]
) -> None:
    one, two = two_processes(start_site(REDIS_URL=""), stop_after)
    with proxied(f"location / {{ proxy_pass http://site; {HEADERS} {UPGRADE} }}", one, two) as proxy:
        found = Diagnosis(one, proxy.url)
    assert "split_layer" in found.findings
    assert "Set REDIS_URL" in found.findings["split_layer"]["fix"]
    assert set(found.findings) <= {"split_layer", "buffering"}, "a stream at the other process gets nothing, too"


def test_it_finds_pub_sub_buffers_that_are_too_small(start_site: StartSite, own_redis: Server) -> None:
    from redis import Redis

    with Redis(port=own_redis.port) as client:
        client.config_set("client-output-buffer-limit", "pubsub 1mb 512kb 60")
    site = start_site(REDIS_URL=f"redis://127.0.0.1:{own_redis.port}/0")
    Diagnosis(site, site.url).finds("small_pubsub_buffer", fix="client-output-buffer-limit pubsub 32mb 8mb 60")


def test_it_finds_a_clock_that_is_wrong(start_site: StartSite) -> None:
    site = start_site(DJANGO_SETTINGS_MODULE="tests.sites.doctored", CLOCK_AHEAD="60")
    found = Diagnosis(site, site.url, CLOCK_AHEAD="0")
    found.finds("clock_skew", fix="NTP")
    assert "60 seconds ahead" in found.findings["clock_skew"]["message"]


def test_it_finds_the_wrong_clock_of_a_process_that_it_does_not_meet(
    start_site: StartSite, stop_after: StopAfter, redis: str
) -> None:
    site = start_site(DJANGO_SETTINGS_MODULE="tests.sites.doctored", REDIS_URL=redis)
    stop_after(Site(site.env | {"CLOCK_AHEAD": "-60"}))
    found = Diagnosis(site, site.url)
    found.finds("clock_skew", fix="NTP")
    assert "60 seconds behind" in found.findings["clock_skew"]["message"]


@needs_nginx
def test_it_finds_a_short_idle_timeout(
    start_site: StartSite, proxied: Callable[..., AbstractContextManager[Proxy]]
) -> None:
    site = start_site()
    hasty = f"location / {{ proxy_pass http://site; {HEADERS} {UPGRADE} proxy_read_timeout 2s; }}"
    with proxied(hasty, site) as proxy:
        Diagnosis(site, proxy.url, idle=4).finds("idle_timeout", fix="proxy_read_timeout 60s;")


@needs_nginx
def test_it_finds_static_files_that_are_not_served(
    start_site: StartSite, proxied: Callable[..., AbstractContextManager[Proxy]]
) -> None:
    site = start_site()
    without = f"""
        location / {{ proxy_pass http://site; {HEADERS} {UPGRADE} }}
        location /static/ {{ return 404; }}
    """
    with proxied(without, site) as proxy:
        Diagnosis(site, proxy.url).finds("static_files", fix="collectstatic")


def test_it_finds_a_provider_that_cannot_be_reached(start_site: StartSite) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words", CUSTOM_BASE_URL=f"http://127.0.0.1:{free_port()}/v1")
    Diagnosis(site, site.url).finds("provider_unreachable", fix="_BASE_URL")


def with_agents(agents: dict[str, dict[str, str]]) -> dict[str, str]:
    """The environment of a site with these agents."""
    settings = json.dumps({"AGENTS": agents, "TITLE_MODEL": ""})
    return {"DJANGO_SETTINGS_MODULE": "tests.sites.doctored", "NOUS_CHAT": settings}


def test_it_asks_no_model_if_the_site_has_the_demo(start_site: StartSite, upstream: Upstream) -> None:
    site = start_site(**with_agents({"works": {"name": "Works", "model": "custom:words"}, "demo": DEMO}))
    before = upstream.stats()["started"]
    assert Diagnosis(site, site.url).ok
    assert upstream.stats()["started"] == before, "it asked the model nothing"


def test_it_finds_the_unreachable_provider_of_an_agent_that_does_not_answer(start_site: StartSite) -> None:
    agents = {"demo": DEMO, "broken": {"name": "Broken", "model": "ollama:llama"}}
    site = start_site(**with_agents(agents), OLLAMA_BASE_URL=f"http://127.0.0.1:{free_port()}")
    Diagnosis(site, site.url).finds("provider_unreachable", fix="OLLAMA_BASE_URL")


# --- And some more


@needs_nginx
def test_it_finds_a_proxy_that_does_not_pass_sockets_on(
    start_site: StartSite, proxied: Callable[..., AbstractContextManager[Proxy]]
) -> None:
    site = start_site()
    with proxied(f"location / {{ proxy_pass http://site; {HEADERS} }}", site) as proxy:
        Diagnosis(site, proxy.url).finds("sockets_blocked", fix="proxy_set_header Upgrade")


def test_it_says_if_it_cannot_come_in(start_site: StartSite) -> None:
    site = start_site()
    Diagnosis(site, site.url, password="wrong").finds("sign_in_refused", fix="--password")
    Diagnosis(site, f"http://127.0.0.1:{free_port()}").finds("unreachable", fix="Check the address")
    Diagnosis(site, f"{site.url}/elsewhere/").finds("wrong_prefix", fix="FORCE_SCRIPT_NAME")


def test_it_says_that_a_model_fails(start_site: StartSite) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:status@code=401")
    Diagnosis(site, site.url).finds("run_failed", fix="nous_ask")


def test_every_code_is_documented() -> None:
    package = Path(doctor.__file__).parent
    source = "".join(file.read_text("utf-8") for file in package.glob("*.py"))
    used = set(re.findall(r'\.add\(\s*"(\w+)"', source))
    _, _, section = (servers.ROOT / "docs" / "monitoring.md").read_text("utf-8").partition("## The doctor")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section.partition("\n## ")[0], re.M)
    assert {code for row in rows for code in re.findall(r"`(\w+)`", row)} == used


def test_a_page_is_read_as_a_browser_reads_it() -> None:
    page = Page(
        '<form action="/find"><input name="q"></form>'
        '<form action="/in"><input type="hidden" name="csrf" value="1"><input type="checkbox" name="keep">'
        '<input name="login" autofocus><input type="password" name="secret"><input type="text" name="other"></form>'
        '<link rel="stylesheet" href="a.css"><link rel="icon" href="b.png"><script src="c.js"></script>'
        '<nous-chat api="/x/api/" stylesheet="d.css"><script type="application/json">{"agents": []}</script>'
    )
    assert page.sign_in is not None
    assert page.sign_in.action == "/in"
    assert page.sign_in.filled("ada", "word") == {"csrf": "1", "login": "ada", "secret": "word"}
    assert page.stylesheets == ["a.css", "d.css"]
    assert page.scripts == ["c.js"]
    assert page.chat == {"api": "/x/api/", "stylesheet": "d.css"}
    assert page.setup == {"agents": []}
