"""The vendored libraries match their manifest, byte for byte, and have their licenses."""

import hashlib
import json
import re

from requirements.vendor import MANIFEST, PACKAGES, VENDOR


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
    assert [(e["package"], e["version"], e["license"]) for e in entries] == [package[:3] for package in PACKAGES]
    for entry in entries:
        assert any(name.endswith("LICENSE") for name in entry["files"]), entry["package"]
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", entry["integrity"])


def test_no_library_points_to_a_source_map() -> None:
    for path in VENDOR.rglob("*.js"):
        assert not re.search(rb"^//# sourceMappingURL", path.read_bytes(), re.MULTILINE), path
