"""The files in deploy/: what they name exists, and what they promise holds. Docker and Kubernetes themselves run
nothing here; nginx does (`tests/site/test_nginx.py`).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.urls import resolve

from chat.conf import Conf

from ..support.servers import ROOT, Database, Site, environment, free_port

DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8")
UNIT = (DEPLOY / "systemd" / "nous-chat@.service").read_text("utf-8")
MANIFESTS = {
    manifest["kind"]: manifest
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(file.read_text("utf-8"))
}
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))
POD = MANIFESTS["Deployment"]["spec"]["template"]
[CONTAINER] = POD["spec"]["containers"]

DRAIN = Conf().DRAIN_SECONDS + 25
"""Seconds that a process may take from SIGTERM to its end (docs/operating.md)."""


def instructions(name: str) -> list[str]:
    """The arguments of one kind of instruction in the container file."""
    return re.findall(rf"^{name} (.*)$", CONTAINERFILE, re.MULTILINE)


def seconds(duration: str) -> int:
    number: str = duration.removesuffix("s")
    return int(number)


def test_every_variable_is_one_that_the_site_reads() -> None:
    documented = re.findall(r"`([A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text("utf-8"))
    example = (DEPLOY / "compose" / "chat.env.example").read_text("utf-8")
    named = {line.split("=")[0] for line in example.splitlines() if line and not line.startswith("#")}
    named |= set(MANIFESTS["ConfigMap"]["data"])
    assert {"SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL"} <= named
    assert named - set(documented) == set()


def test_probes_ask_addresses_that_exist_at_the_port_that_listens() -> None:
    [port] = instructions("EXPOSE")
    assert f'"--port", "{port}"' in CONTAINERFILE
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": int(port)}]
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    probes = {kind: CONTAINER[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert {probe["port"] for probe in probes.values()} == {"http"}
    names = {kind: resolve(probe["path"]).url_name for kind, probe in probes.items()}
    assert names == {"startup": "readyz", "readiness": "readyz", "liveness": "healthz"}
    for text, name in ((CONTAINERFILE, "healthz"), (UNIT, "readyz"), (str(COMPOSE["services"]["chat1"]), "readyz")):
        [address] = re.findall(r"http://127.0.0.1:(?:8000|%i)(/[\w/]+)", text)
        assert resolve(address).url_name == name


def test_everybody_waits_until_a_process_has_drained() -> None:
    [stop] = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert int(stop) >= DRAIN
    for name in ("chat1", "chat2"):
        assert seconds(COMPOSE["services"][name]["stop_grace_period"]) >= DRAIN
    [pause] = re.findall(r"sleep\((\d+)\)", str(CONTAINER["lifecycle"]["preStop"]))
    assert POD["spec"]["terminationGracePeriodSeconds"] >= DRAIN + int(pause)
    assert MANIFESTS["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_manifests_name_each_other() -> None:
    files = {file.name for file in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert set(MANIFESTS["Kustomization"]["resources"]) == files - {"kustomization.yaml"}
    labels = POD["metadata"]["labels"]
    selectors = [MANIFESTS[kind]["spec"]["selector"] for kind in ("Deployment", "PodDisruptionBudget")]
    assert [selector["matchLabels"] for selector in selectors] == [labels, labels]
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["Job"]["spec"]["template"]["metadata"]["labels"] != labels, "no requests for the migration"
    target = MANIFESTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", MANIFESTS["Deployment"]["metadata"]["name"])
    [rule] = MANIFESTS["Ingress"]["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == MANIFESTS["Service"]["metadata"]["name"]
    [claim] = [
        volume["persistentVolumeClaim"] for volume in POD["spec"]["volumes"] if "persistentVolumeClaim" in volume
    ]
    assert claim["claimName"] == MANIFESTS["PersistentVolumeClaim"]["metadata"]["name"]


def test_compose_mounts_files_that_exist_and_its_nginx_finds_the_processes() -> None:
    folder, services = DEPLOY / "compose", COMPOSE["services"]
    upstream = (folder / "upstream.conf").read_text("utf-8")
    assert set(re.findall(r"server (\w+):8000 ", upstream)) == {name for name in services if name.startswith("chat")}
    mounted = [mount.split(":")[0] for mount in services["nginx"]["volumes"]]
    assert [path for path in mounted if not (folder / path).resolve().exists()] == ["./tls"]
    assert (folder / services["chat1"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / services["chat1"]["build"]["dockerfile"]).exists()
    for service in services.values():
        if env_file := service.get("env_file"):
            assert (folder / f"{env_file}.example").exists()


def test_sockets_get_the_headers_of_other_requests() -> None:
    """nginx inherits `proxy_set_header` only where a location sets none itself. Without the address of the visitor, the
    sockets of all guests of the site would share one rate limit.
    """
    outer, *locations = (DEPLOY / "nginx" / "chat.conf").read_text("utf-8").split("    location ")
    shared = re.findall(r"proxy_set_header (.*);", outer)
    assert len(shared) == 3
    for location in locations:
        headers = re.findall(r"proxy_set_header (.*);", location)
        assert not headers or set(shared) < set(headers)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_puts_the_manifests_together() -> None:
    made = subprocess.run(["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=True)
    kinds = {manifest["kind"]: manifest for manifest in yaml.safe_load_all(made.stdout)}
    assert set(kinds) == set(MANIFESTS) - {"Kustomization"}
    [container] = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.org/nous-chat:0.1.0"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = "/srv/nous-chat/.venv/bin/python"
    assert program in UNIT
    file = tmp_path / "nous-chat@.service"
    here = UNIT.replace(program, sys.executable).replace("/usr/bin/curl", sys.executable)
    file.write_text(here.replace("/srv/nous-chat", str(ROOT)))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class Contained(Site):
    """The process of the image, in a folder that holds what the image does."""

    def _arguments(self, port: int, module: str, *application: str) -> list[str]:
        [line] = re.findall(r"^CMD (.*)$", CONTAINERFILE, re.MULTILINE)
        program, *arguments = json.loads(line)
        assert program == "/venv/bin/python"
        return [str(port) if argument == "8000" else argument for argument in arguments]


@pytest.fixture
def contained(tmp_path: Path, database: Database) -> Iterator[Callable[[], Contained]]:
    for copied in instructions("COPY"):
        source, target = copied.split()[-2:]
        if not source.startswith("/"):
            assert f"!{source}\n" in (DEPLOY / "Containerfile.dockerignore").read_text("utf-8")
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            (tmp_path / target).parent.mkdir(exist_ok=True)
            copy(ROOT / source, tmp_path / target)
    (tmp_path / "var" / "media").mkdir(parents=True)

    class Here(Contained):
        folder = tmp_path

    started: list[Contained] = []

    def start() -> Contained:
        env = environment(
            DATABASE_URL=database.copy(), REDIS_URL=None, DEBUG=None, ALLOWED_HOSTS="chat.example.org", PYTHONPATH=""
        )
        started.append(Here(env, free_port(), plain=True))
        return started[0]

    yield start
    for site in started:
        site.stop()


def test_the_image_has_what_its_command_needs_and_passes_its_health_check(
    contained: Callable[[], Contained], tmp_path: Path
) -> None:
    site = contained()
    [check] = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    _, *arguments = json.loads(check)
    command = [argument.replace(":8000/", f":{site.port}/") for argument in arguments]
    subprocess.run([sys.executable, *command], check=True, timeout=30)
    with urllib.request.urlopen(f"{site.url}/chat/readyz", timeout=30) as answer:
        assert answer.read() == b"ok\n"


@pytest.mark.skipif("ROLLOUT_READERS" not in os.environ, reason="`make rollout` runs it: it installs all packages")
def test_the_image_can_be_built_from_an_empty_environment(contained: Callable[[], Contained], tmp_path: Path) -> None:
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    run: dict[str, Any] = {"cwd": tmp_path, "env": env, "shell": True, "check": True, "timeout": 600}
    for command in instructions("RUN"):
        if not command.startswith("install "):  # needs the rights of root
            here = command.replace("/venv", str(tmp_path / "venv")).replace(
                "python -m venv", f"{sys.executable} -m venv"
            )
            subprocess.run(here, **run)
    assert (tmp_path / "var" / "static" / "staticfiles.json").exists()
