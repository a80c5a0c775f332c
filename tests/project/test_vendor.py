"""The vendored libraries match their manifest, byte for byte, and have their licenses."""

import gzip
import hashlib
import json
import re

from requirements.vendor import EDITOR, EDITOR_EXPORTS, MANIFEST, PACKAGES, ROOT, VENDOR


def test_the_files_are_exactly_those_of_the_manifest() -> None:
    entries = json.loads(MANIFEST.read_text("utf-8"))
    listed = {name: digest for entry in entries for name, digest in entry["files"].items()}
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path != MANIFEST and not path.name.endswith(".d.ts")  # our types of the libraries
    }
    assert found == listed


def test_the_manifest_lists_the_packages_of_vendor_py() -> None:
    entries = json.loads(MANIFEST.read_text("utf-8"))
    bundled = [entry for entry in entries if "codemirror/LICENSE" in entry["files"]]
    downloaded = [entry for entry in entries if entry not in bundled]
    assert [(e["package"], e["version"], e["license"]) for e in downloaded] == [package[:3] for package in PACKAGES]
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    for entry in bundled:
        locked = lock[f"node_modules/{entry['package']}"]
        assert [entry[key] for key in ("version", "license", "integrity")] == [
            locked[key] for key in ("version", "license", "integrity")
        ], entry["package"]
    assert {*EDITOR_EXPORTS, "@lezer/markdown", "@codemirror/legacy-modes"} <= {entry["package"] for entry in bundled}
    for entry in entries:
        assert any(name.endswith("LICENSE") for name in entry["files"]), entry["package"]
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", entry["integrity"])


def test_the_editor_is_at_most_110_kilobytes() -> None:
    assert len(gzip.compress((VENDOR / EDITOR).read_bytes(), 9)) <= 110_000


def test_no_library_points_to_a_source_map() -> None:
    for path in VENDOR.rglob("*.js"):
        assert not re.search(rb"^//# sourceMappingURL", path.read_bytes(), re.MULTILINE), path
