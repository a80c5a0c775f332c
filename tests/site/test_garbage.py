"""A server leaves what it has loaded out of garbage collections, which stop all its threads."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from ..support.servers import Site, Uvicorn


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_what_a_server_has_loaded_is_left_out_of_garbage_collections(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any], server: str
) -> None:
    started = start_site()
    started.stop()
    if server == "daphne":
        site = stop_after(Site(started.env, command=("tests.support.probed_server",)))
    else:
        site = stop_after(Uvicorn(started.env, command=("tests.support.probe:application",)))
    request = urllib.request.Request(f"{site.url}/probe/objects", method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:
        found = json.load(response)
    assert found["ignored"] > 5 * found["collected"], found
