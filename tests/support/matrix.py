"""`python -m tests.support.matrix [--ends] [--list] -- PYTEST ARGUMENTS`: run tests with each supported Django and
Python.

uv makes an environment for each pair in `var/matrix/`, from the Pythons that this machine has; it downloads none. What
is not here is named and skipped. `--ends` runs two pairs only, the oldest Python with the oldest Django and the newest
with the newest, and leaves out the pair that this interpreter itself is: `make test` has run everything with it.
`--list` prints the pairs, and runs nothing.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import django

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "matrix"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
DJANGOS = {"5.2": PYTHONS, "6.0": PYTHONS[1:], "6.1": PYTHONS[1:]}
"""The Pythons that each Django supports."""


class Pair(NamedTuple):
    django: str
    python: str

    def __str__(self) -> str:
        return f"Django {self.django}, Python {self.python}"


def uv(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [Path(sys.executable).with_name("uv"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def interpreter(python: str) -> str | None:
    """The path of that Python if it is here: where uv finds it, or one that pyenv has installed."""
    found = uv("python", "find", "--no-python-downloads", "--no-project", "--system", python)
    if found.returncode == 0:
        return found.stdout.strip()
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    return next((str(path) for path in versions.glob(f"{python}.*/bin/python")), None)


def environment(pair: Pair, executable: str) -> Path:
    """The Python of an environment with that Django and what the tests need."""
    folder = FOLDER / f"django{pair.django}-python{pair.python}"
    python = folder / "bin" / "python"
    if not python.exists():
        _must(uv("venv", "--quiet", "--python", executable, folder))
    # The lock file's versions, but another Django. Hashes are for the lock file's own one.
    overrides = folder / "overrides.txt"
    overrides.write_text(f"django=={pair.django}.*\n")
    lock = ROOT / "requirements" / "test.txt"
    _must(
        uv("pip", "install", "--quiet", "--python", python, "--no-verify-hashes", "--overrides", overrides, "-r", lock)
    )
    return python


def _must(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode:
        raise RuntimeError(done.stderr.strip())


def run(pair: Pair, executable: str, arguments: list[str]) -> str:
    """Run the tests; returns what came of it, in a line."""
    begun = time.monotonic()
    try:
        python = environment(pair, executable)
    except RuntimeError as problem:
        return f"FAILED: cannot be installed\n{problem}"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        sys.stdout.write(line)
        last = line.strip() or last
    outcome = "passed" if process.wait() == 0 else "FAILED"
    return f"{outcome} in {time.monotonic() - begun:.0f} s: {re.sub(r'[= ]*in [0-9.]+s.*', '', last).strip('= ')}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.matrix")
    parser.add_argument("--ends", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    executables = {python: interpreter(python) for python in PYTHONS}
    pairs = [Pair(django, python) for django, pythons in DJANGOS.items() for python in pythons if executables[python]]
    if options.ends and pairs:
        own = Pair(".".join(map(str, django.VERSION[:2])), ".".join(map(str, sys.version_info[:2])))
        pairs = [pair for pair in dict.fromkeys((pairs[0], pairs[-1])) if pair != own]
    if options.list:
        print(*pairs, sep="\n", end="")
        return 0
    for python, executable in executables.items():
        if executable is None:
            print(f"skipped: there is no Python {python} here")
    outcomes: dict[Pair, str] = {}
    for pair in pairs:
        print(f"== {pair}", flush=True)
        outcomes[pair] = run(pair, executables[pair.python] or "", options.arguments)
    print("\n".join(f"{pair}: {outcome}" for pair, outcome in outcomes.items()))
    return int(any(outcome.startswith("FAILED") for outcome in outcomes.values()))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "")
    sys.exit(main())
