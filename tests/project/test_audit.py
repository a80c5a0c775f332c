"""`make audit` reports vulnerabilities, and never says that there are none without an answer from the database."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from requirements import audit


class Database(HTTPServer):
    """An advisory database on this machine. `vulnerable`: advisories by name. `answer`: what it says in any case."""

    vulnerable: dict[str, list[str]]
    answer: bytes | None
    status: int


class Handler(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        names = [query["package"]["name"] for query in queries]
        results = [{"vulns": [{"id": each} for each in self.server.vulnerable.get(name, [])]} for name in names]
        body = (
            self.server.answer
            or json.dumps({"results": [result if result["vulns"] else {} for result in results]}).encode()
        )
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    server = Database(("127.0.0.1", 0), Handler)
    server.vulnerable, server.answer, server.status = {}, None, 200
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(audit, "OSV", f"http://127.0.0.1:{server.server_port}/v1/querybatch")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_everything_locked_is_asked_about() -> None:
    asked = dict(audit.packages())
    names = {(ecosystem, name): where for (ecosystem, name, _), where in asked.items()}
    assert names["PyPI", "django"] == "requirements/base.txt"
    assert names["PyPI", "psycopg"] == "requirements/prod.txt"
    assert names["PyPI", "mypy"] == "requirements/dev.txt"
    assert names["npm", "mermaid"] == "the page"
    assert names["npm", "@biomejs/biome"] == "package-lock.json"
    locked = {
        line.split("==")[0] for line in (audit.ROOT / "requirements/dev.txt").read_text().splitlines() if "==" in line
    }
    assert len({name for ecosystem, name in names if ecosystem == "PyPI"}) >= len(locked)


def test_no_known_vulnerability_passes(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main() == 0
    assert "No known vulnerabilities in" in capsys.readouterr().out


def test_a_vulnerability_fails_and_is_named(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "MOST", 7)  # several requests
    database.vulnerable = {"django": ["GHSA-1"], "katex": ["GHSA-2", "GHSA-3"]}
    assert audit.main() == 1
    out = capsys.readouterr().out
    assert "(requirements/base.txt): https://osv.dev/vulnerability/GHSA-1\n" in out
    assert "(the page): https://osv.dev/vulnerability/GHSA-2 https://osv.dev/vulnerability/GHSA-3\n" in out
    assert "No known" not in out


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, b"{}"),
        (200, b"<html>Sign in to this network"),
        (200, b"{}"),
        (200, b'{"results": [{}]}'),
        (200, b"[]"),
        (200, b'{"results": [%s]}' % b",".join([b"null"] * 2000)),
    ],
    ids=["error", "page", "nothing", "too few", "another shape", "other results"],
)
def test_without_an_answer_nothing_counts_as_audited(
    database: Database, capsys: pytest.CaptureFixture[str], status: int, answer: bytes
) -> None:
    database.status, database.answer = status, answer
    assert audit.main() == 3
    assert capsys.readouterr().out.startswith("NOT AUDITED: no answer from ")


def test_without_a_network_nothing_counts_as_audited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "OSV", "http://127.0.0.1:1/")
    assert audit.main() == 3
    assert "Whether there are vulnerabilities is unknown" in capsys.readouterr().out


def test_a_library_that_was_changed_fails(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_bytes((audit.VENDOR / "manifest.json").read_bytes())
    monkeypatch.setattr(audit, "VENDOR", tmp_path)
    assert audit.main() == 1
    assert "CHANGED: katex/katex.js" in capsys.readouterr().out
