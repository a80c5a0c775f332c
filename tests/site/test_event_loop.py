"""The site's own server runs on uvloop."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from ..support.servers import Site


def test_daphne_runs_on_uvloop_also_when_it_is_measured(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any]
) -> None:
    started = start_site()
    started.stop()
    site = stop_after(Site(started.env, command=("tests.support.probed_server",), plain=True))
    request = urllib.request.Request(f"{site.url}/probe/loop", method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:
        assert json.load(response)["loop"] == "uvloop"
