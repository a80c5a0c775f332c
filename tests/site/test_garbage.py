"""A server leaves what it has loaded out of garbage collections, which stop all its threads, and makes those of all
other objects rare.
"""

import json
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from chat.node.garbage import YOUNG_COLLECTIONS

from ..support.servers import Site, Uvicorn


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_a_server_seldom_looks_for_garbage_in_what_it_keeps(
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
    if sys.version_info < (3, 14):  # which collects in small steps, and has no such number
        assert found["young"] == YOUNG_COLLECTIONS
