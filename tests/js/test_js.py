"""The page's modules without a page: what is pure in them, run by node. Each file here tests one module."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("name", sorted(str(path.relative_to(HERE)) for path in HERE.rglob("*.test.js")))
def test_module(name: str) -> None:
    assert NODE is not None
    done = subprocess.run([NODE, "--test", name], cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
