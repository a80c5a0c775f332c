"""The site that whole-site tests get as `site`, unless their module makes its own: under daphne, then under uvicorn."""

from collections.abc import Callable
from typing import Any

import pytest

from ..support.servers import Site, Uvicorn
from .test_outages import tuned


@pytest.fixture(params=["daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, start_site: Callable[..., Site], stop_after: Callable[[Any], Any]) -> Site:
    started = start_site(**tuned())
    if request.param == "daphne":
        return started
    started.stop()
    return stop_after(Uvicorn(started.env))  # type: ignore[no-any-return]
