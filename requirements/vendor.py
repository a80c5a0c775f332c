"""`make vendor`: download the page's libraries from npm into chat/static/nous_chat/vendor/, with their licenses.

The manifest is the lock file: a package whose hash changed without its version is refused. To upgrade a library, change
its version below and run this again.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "chat/static/nous_chat/vendor"
MANIFEST = VENDOR / "manifest.json"

# Package, version, license, {file in the package: file in VENDOR}
PACKAGES: list[tuple[str, str, str, dict[str, str]]] = [
    (
        "markdown-it",
        "15.0.3",
        "MIT",
        {"dist/browser/markdown-it.esm.min.mjs": "markdown-it/markdown-it.js", "LICENSE": "markdown-it/LICENSE"},
    ),
    ("remend", "1.4.0", "Apache-2.0", {"dist/index.js": "remend/remend.js", "LICENSE": "remend/LICENSE"}),
    (
        "@highlightjs/cdn-assets",
        "11.12.0",
        "BSD-3-Clause",
        {"es/highlight.min.js": "highlightjs/highlight.js", "LICENSE": "highlightjs/LICENSE"},
    ),
    ("katex", "0.19.1", "MIT", {"dist/katex.mjs": "katex/katex.js", "LICENSE": "katex/LICENSE"}),
    ("mermaid", "11.17.2", "MIT", {"dist/mermaid.min.js": "mermaid/mermaid.js", "LICENSE": "mermaid/LICENSE"}),
]


def main() -> None:
    known = json.loads(MANIFEST.read_text("utf-8")) if MANIFEST.exists() else []
    locked = {(entry["package"], entry["version"]): entry["integrity"] for entry in known}
    manifest = []
    for package, version, license_name, files in PACKAGES:
        data = fetch(package, version)
        integrity = f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
        if locked.get((package, version), integrity) != integrity:
            sys.exit(f"{package} {version} has changed: its hash is now {integrity}. It was not installed.")
        hashes = {target: unpack(data, source, VENDOR / target) for source, target in files.items()}
        manifest.append(
            {"package": package, "version": version, "license": license_name, "integrity": integrity, "files": hashes}
        )
        print(f"{package} {version}")
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")


def fetch(package: str, version: str) -> bytes:
    """The package's tarball, as npm publishes it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
        name = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
        return Path(folder, name).read_bytes()


def unpack(data: bytes, source: str, target: Path) -> str:
    """Write one file of a package and return its SHA-256. Drops the line that points to a source map."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            member = archive.extractfile(f"package/{source}")
            assert member is not None, f"{source} is not a file"
            lines = member.read().splitlines(keepends=True)
    content = b"".join(line for line in lines if not line.startswith(b"//# sourceMappingURL="))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
