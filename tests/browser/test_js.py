"""The page's modules without a page: what is pure in them, run by node. Each file in js/ tests one module."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / "chat/static/nous_chat"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("name", sorted(path.name for path in (HERE / "js").glob("*.test.js")))
def test_module(name: str, tmp_path: Path) -> None:
    shutil.copytree(MODULES, tmp_path / "nous_chat")
    shutil.copytree(HERE / "js", tmp_path / "js")
    (tmp_path / "package.json").write_text('{"type": "module"}')  # .js files are modules, as in the browser
    done = subprocess.run([NODE, "--test", f"js/{name}"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
