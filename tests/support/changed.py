"""`python -m tests.support.changed [pytest's arguments]`: run the tests of what has changed since the last commit.

A changed test file runs itself. A module of `chat/LAYER/` runs `tests/LAYER/` (or what `TESTS_OF` names), a module of
the page runs `tests/js/`. Anything else is for `make fast`: this is what `make watch` runs while you write.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS_OF = {"actions": ("consumers", "api"), "models": ("store",)}
"""The folders that test the layers without a folder of that name."""


def changed_files() -> list[Path]:
    """Changed and new files, relative to the project."""
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all", "--no-renames"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [Path(line[3:]) for line in status.stdout.splitlines()]


def select(files: Iterable[Path]) -> list[str]:
    """The test files and folders to run for changed files."""
    found: set[str] = set()
    for file in files:
        match file.parts:
            case ("tests", *_, name) if name.startswith("test_") and (ROOT / file).exists():
                found.add(str(file))
            case ("tests", "js", *_) | ("chat", "static", *_):
                found.add("tests/js")
            case (("tests" | "chat"), layer, _, *_):
                folders = TESTS_OF.get(layer, (layer,))
                found.update(f"tests/{each}" for each in folders if any((ROOT / "tests" / each).glob("test_*.py")))
    return sorted(found)


def main() -> int:
    arguments = sys.argv[1:]
    if not any(not argument.startswith("-") for argument in arguments):
        tests = select(changed_files())
        if not tests:
            print("No folder of tests belongs to what has changed: run `make fast`.")
            return 0
        arguments = [*tests, *arguments]
    command = [sys.executable, "-m", "pytest", "-q", "--exitfirst", "--failed-first", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
