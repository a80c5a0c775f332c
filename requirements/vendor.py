"""`make vendor`: the page's libraries, from npm into chat/static/nous_chat/vendor/, with their licences and a manifest.

The manifest is the lock: a package of the same version whose hash is another one is refused. To move to another
version, change it below and run this.
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

# package, version, licence, {file in the package: file here}
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
    for package, version, licence, files in PACKAGES:
        data = fetch(package, version)
        integrity = f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
        if locked.get((package, version), integrity) != integrity:
            sys.exit(f"{package} {version} is not what it was: {integrity}. Nothing was changed from here on.")
        hashes = {here: unpack(data, there, VENDOR / here) for there, here in files.items()}
        manifest.append(
            {"package": package, "version": version, "license": licence, "integrity": integrity, "files": hashes}
        )
        print(f"{package} {version}")
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")


def fetch(package: str, version: str) -> bytes:
    """The package as npm publishes it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
        name = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
        return Path(folder, name).read_bytes()


def unpack(data: bytes, there: str, here: Path) -> str:
    """Writes one file of a package; returns its SHA-256. Source maps stay away, and the lines that point to them."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            member = archive.extractfile(f"package/{there}")
            assert member is not None, f"{there} is no file"
            lines = member.read().splitlines(keepends=True)
    content = b"".join(line for line in lines if not line.startswith(b"//# sourceMappingURL="))
    here.parent.mkdir(parents=True, exist_ok=True)
    here.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
