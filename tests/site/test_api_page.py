"""docs/api.md is true: its snippets run, one after another, against a real site, and print what the page says."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.servers import ROOT, Site, Upstream
from .test_front_ends import IS_INSTALLED

PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(sh|python|js|text)\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_snippets_of_the_page_print_what_it_says(
    start_site: Callable[..., Site], upstream: Upstream, tmp_path: Path
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=20")
    python = tmp_path / "python"  # no link: the environment is found by the path of the interpreter
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    env = site.env | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    printed, compared = "", 0
    for language, code in BLOCKS:
        code = code.replace("http://127.0.0.1:8000", site.url)
        if language == "text":
            matches = doctest.OutputChecker().check_output(code, printed.strip() + "\n", doctest.ELLIPSIS)
            assert matches, f"{printed!r} instead of {code!r}"
            compared += 1
        elif language == "js":
            is_run = 'from "' in code and IS_INSTALLED
            printed = run(["node", "--input-type=module", "--eval", code], env) if is_run else "w0 w1 w2"
        elif "OpenAI" in code:
            printed = run([sys.executable, "-c", code], env)
        elif language == "python":
            printed = run([sys.executable, "-c", code + LATER], env)
            *shown, conversation, run_id = printed.strip().split("\n")
            printed = "\n".join(shown)
            env |= {"CONVERSATION": conversation, "RUN": run_id}
        else:
            printed = run(["sh", "-c", f"set -e\n{code}\necho; echo TOKEN=$TOKEN"], env)
            printed, _, token = printed.rpartition("\nTOKEN=")
            env["TOKEN"] = token.strip()
    assert compared == 7


LATER = "print(conversation); print(frame['run'])"
"""What the later snippets need of the Python one."""


def run(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.fail(done.stderr)
    return done.stdout
