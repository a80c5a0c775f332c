"""From the command that serves the site to the first connection it accepts."""

import time
from dataclasses import dataclass

from ..support.servers import Site
from .measure import cpu_seconds, median
from .targets import SiteTarget


@dataclass(frozen=True)
class Startup:
    """Seconds, medians."""

    target: str
    listening: float
    cpu: float
    """CPU time until then."""


def startup(target: SiteTarget, times: int) -> Startup:
    """Start another process of this site so many times. Its database is migrated, and Python's modules are compiled."""
    listening, cpu = [], []
    for _ in range(times):
        began = time.monotonic()
        site = Site(target.sites[0].env, plain=True)
        listening.append(time.monotonic() - began)
        cpu.append(cpu_seconds(site.process.pid))
        site.kill()
    return Startup(target.name, median(listening), median(cpu))
