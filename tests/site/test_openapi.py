"""A site keeps what its openapi.json says: schemathesis makes requests from it, and checks status, type, and body of
each answer.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.servers import Site, Upstream
from .test_event_streams import new_token
from .test_outages import tuned

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def site(start_site: Callable[..., Site], upstream: Upstream) -> Site:
    limits = {"COMMAND_RATE": 1_000_000, "COMMAND_BURST": 1_000_000}
    return start_site(**tuned(MODEL="custom:words@n=3", **limits))


@pytest.mark.parametrize(
    ("phases", "examples"),
    [("fuzzing,stateful", 3), pytest.param("coverage,fuzzing,stateful", 40, marks=pytest.mark.slow)],
)
def test_the_site_answers_as_it_is_described(site: Site, tmp_path: Path, phases: str, examples: int) -> None:
    """The same requests each time. Stateful ones use the ids that earlier answers hold."""
    options = [
        f"--header=Authorization: Bearer {new_token(site)}",
        f"--phases={phases}",
        f"--max-examples={examples}",
        "--generation-deterministic",
        "--continue-on-failure",
        "--no-shrink",
        "--no-color",
        "--request-timeout=60",
    ]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"]
    done = subprocess.run(
        [*command, f"{site.url}/chat/api/openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
