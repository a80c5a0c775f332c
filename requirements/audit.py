"""`make audit`: known vulnerabilities of the locked Python packages, of the page's libraries, and of the npm tools.

Asks one database, OSV (https://google.github.io/osv.dev/post-v1-querybatch/), with names and versions only. Exits with
0 if it knows nothing against any of them, with 1 if it does or if a library's file is not the one that was locked, and
with 3 if there was no answer: then nothing was audited, which is no good news. (make itself always exits with 2.)

Not pip-audit: what its database does not know, or does not answer, it skips, and exits with 0.
"""

import hashlib
import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "chat/static/nous_chat/vendor"
OSV = "https://api.osv.dev/v1/querybatch"
MOST = 1000  # queries in one request

Package = tuple[str, str, str]
"""Ecosystem, name, version."""


def main() -> int:
    used = dict(packages())
    changed = list(changed_files())
    for file in changed:
        print(f"CHANGED: {file} is not the file that manifest.json locks. Run `make vendor`.")
    try:
        found = ask(list(used))
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:  # no connection, an error status, another answer
        print(f"NOT AUDITED: no answer from {OSV} ({error}). Whether there are vulnerabilities is unknown.")
        return 1 if changed else 3
    for (ecosystem, name, version), advisories in found.items():
        where = used[ecosystem, name, version]
        links = " ".join(f"https://osv.dev/vulnerability/{advisory}" for advisory in advisories)
        print(f"VULNERABLE: {name} {version} ({where}): {links}")
    if not found:
        print(f"No known vulnerabilities in {len(used)} packages. What a library bundles is audited as that library.")
    return 1 if found or changed else 0


def packages() -> Iterator[tuple[Package, str]]:
    """Each package, and the file that locks it."""
    for name in ("dev", "test", "prod", "base"):  # the last one counts: what runs on the site
        file = ROOT / f"requirements/{name}.txt"
        for pin in re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;\\]+)", file.read_text("utf-8"), re.M):
            yield ("PyPI", *pin), f"requirements/{name}.txt"
    for path, entry in json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"].items():
        if path:
            yield ("npm", path.rpartition("node_modules/")[2], entry["version"]), "package-lock.json"
    for entry in json.loads((VENDOR / "manifest.json").read_text("utf-8")):
        yield ("npm", entry["package"], entry["version"]), "the page"


def changed_files() -> Iterator[str]:
    for entry in json.loads((VENDOR / "manifest.json").read_text("utf-8")):
        for name, digest in entry["files"].items():
            file = VENDOR / name
            if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
                yield name


def ask(wanted: list[Package]) -> dict[Package, list[str]]:
    """The ids of the advisories for each package that has any. Raises OSError, or what an answer of another shape
    raises."""
    found = {}
    for start in range(0, len(wanted), MOST):
        part = wanted[start : start + MOST]
        queries = [
            {"package": {"ecosystem": ecosystem, "name": name}, "version": version} for ecosystem, name, version in part
        ]
        body = json.dumps({"queries": queries}).encode()
        request = urllib.request.Request(OSV, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  OSV is https
            results = json.load(answer)["results"]
        for package, result in zip(part, results, strict=True):
            if advisories := [advisory["id"] for advisory in result.get("vulns", [])]:
                found[package] = advisories
    return found


if __name__ == "__main__":
    sys.exit(main())
