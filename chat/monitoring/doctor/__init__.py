"""Looks at a live site and says what is wrong with it: `manage.py nous_doctor` (docs/monitoring.md).

report    what was found and measured
page      reads the pages that a browser gets
visitor   HTTP as a browser uses it: pages, redirects, signing in
listener  sockets and streams, with the time of each frame
outside   what a client can find: one visit with one answer
inside    what only a process with the site's settings can find
"""

from .inside import knows_session, look_inside
from .outside import IDLE, visit
from .report import Finding, Measured, Report

__all__ = ["IDLE", "Finding", "Measured", "Report", "knows_session", "look_inside", "visit"]
