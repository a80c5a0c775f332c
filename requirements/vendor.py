"""`make vendor`: put the page's libraries from npm into chat/static/nous_chat/vendor/, with their licenses.

A library that is published as one file is downloaded. The manifest is its lock file: a package whose hash changed
without its version is refused. To upgrade it, change its version below and run this again.

The editor, CodeMirror, is published as many packages. esbuild bundles them from node_modules, so they are locked by
package-lock.json. To upgrade one, change its version in package.json, run `npm install`, and run this again.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NODE_MODULES = ROOT / "node_modules"
VENDOR = ROOT / "chat/static/nous_chat/vendor"
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

EDITOR = "codemirror/codemirror.js"
EDITOR_EXPORTS = {
    "@codemirror/state": [
        *("Annotation", "ChangeSet", "Compartment", "EditorSelection", "EditorState", "Prec", "StateEffect"),
        *("StateField", "Text", "Transaction"),
    ],
    "@codemirror/view": ["Decoration", "EditorView", "WidgetType", "drawSelection", "keymap", "lineNumbers"],
    "@codemirror/commands": ["defaultKeymap", "history", "historyKeymap"],
    "@codemirror/collab": ["collab", "getClientID", "getSyncedVersion", "receiveUpdates", "sendableUpdates"],
    "@codemirror/language": [
        *("HighlightStyle", "Language", "StreamLanguage", "defineLanguageFacet", "syntaxHighlighting"),
    ],
    "@codemirror/merge": ["Chunk", "MergeView", "unifiedMergeView"],
    # What the grammar of Markdown, which has a file of its own, needs of the same copy of the parser.
    "@lezer/common": ["IterMode", "NodeProp", "NodeSet", "NodeType", "Parser", "Tree", "parseMixed"],
    "@lezer/highlight": ["Tag", "styleTags", "tags"],
}
MARKDOWN = "codemirror/markdown.js"
MODES = [
    *("clike", "css", "diff", "dockerfile", "go", "javascript", "lua", "powershell", "python", "r", "ruby", "rust"),
    *("shell", "sql", "swift", "toml", "xml", "yaml"),
]
"""Grammars of code, each in a file of its own."""


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
    manifest += bundle_editor()
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


def bundle_editor() -> list[dict[str, Any]]:
    """Bundle CodeMirror and its grammars. Returns the manifest's entries of all packages that are part of them."""
    exports = "".join(f'export {{ {", ".join(names)} }} from "{module}";' for module, names in EDITOR_EXPORTS.items())
    shared = [f"--alias:{module}=./codemirror.js" for module in ("@lezer/common", "@lezer/highlight")]
    contents = {
        EDITOR: run_esbuild(EDITOR, exports),
        MARKDOWN: run_esbuild(
            MARKDOWN, 'export { GFM, parser } from "@lezer/markdown";', *shared, "--external:./codemirror.js"
        ),
    }
    for mode in MODES:
        target = f"codemirror/modes/{mode}.js"
        contents[target] = run_esbuild(target, f'export * from "@codemirror/legacy-modes/mode/{mode}";')
    packages = sorted({package for found in contents.values() for package in found})
    license_file = write_licenses(packages)
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    manifest = []
    for package in packages:
        locked = lock[f"node_modules/{package}"]
        files = [license_file, *(target for target, found in contents.items() if package in found)]
        hashes = {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in files}
        print(f"{package} {locked['version']}")
        manifest.append(
            {
                "package": package,
                "version": locked["version"],
                "license": locked["license"],
                "integrity": locked["integrity"],
                "files": hashes,
            }
        )
    return manifest


def run_esbuild(target: str, source: str, *options: str) -> set[str]:
    """Bundle what `source` exports into one module. Returns the packages that are in it."""
    with tempfile.TemporaryDirectory() as folder:
        metafile = Path(folder, "metafile.json")
        command = [
            str(NODE_MODULES / ".bin/esbuild"),
            *(
                "--bundle",
                "--format=esm",
                "--minify",
                "--target=es2022",
                "--legal-comments=none",
                "--log-level=warning",
            ),
            *(f"--outfile={VENDOR / target}", f"--metafile={metafile}", *options),
        ]
        subprocess.run(command, cwd=ROOT, input=source, check=True, text=True)
        inputs = json.loads(metafile.read_text("utf-8"))["inputs"]
    paths = [name.split("/")[1:] for name in inputs if name.startswith("node_modules/")]
    return {"/".join(path[:2]) if path[0].startswith("@") else path[0] for path in paths}


def write_licenses(packages: list[str]) -> str:
    """Write the licenses of bundled packages into one file, each text once. Returns its name."""
    by_text: dict[str, list[str]] = {}
    for package in packages:
        by_text.setdefault((NODE_MODULES / package / "LICENSE").read_text("utf-8").strip(), []).append(package)
    target = "codemirror/LICENSE"
    (VENDOR / target).write_text(
        "\n\n".join(f"{', '.join(names)}:\n\n{text}" for text, names in by_text.items()) + "\n"
    )
    return target


if __name__ == "__main__":
    main()
