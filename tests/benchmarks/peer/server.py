"""Install Chainlit into an environment of its own, and start it."""

import subprocess
import sys
from pathlib import Path

from ...support.servers import ROOT, Server, environment, free_port

VERSION = "2.12.0"
PACKAGES = (f"chainlit=={VERSION}", "openai==3.57.0")
NAME = f"Chainlit {VERSION}"
FOLDER = ROOT / "var" / f"chainlit-{VERSION}"
INSTALLED = FOLDER / "installed"
PATIENCE = 600


def install() -> str:
    """Install it unless it is there. Returns why that failed, if it did."""
    if INSTALLED.exists():
        return ""
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(FOLDER)],
        [str(FOLDER / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
    ]
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.CalledProcessError as error:
            return f"cannot be installed: {(error.stderr.strip().splitlines() or [str(error)])[-1]}"
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"cannot be installed: {error}"
    INSTALLED.touch()
    return ""


def start(upstream_url: str, folder: Path) -> Server:
    """`folder` gets the files that Chainlit writes."""
    port = free_port()
    app = Path(__file__).with_name("app.py")
    command = [str(FOLDER / "bin" / "chainlit"), "run", str(app), "--headless", "--port", str(port)]
    env = environment(CHAINLIT_APP_ROOT=str(folder), PYTHONPATH=str(ROOT), UPSTREAM=upstream_url)
    return Server(command, port, env, plain=True)
