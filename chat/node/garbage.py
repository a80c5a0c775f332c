"""Garbage collection of this process, by Python's collector of reference cycles.

It stops all threads while it looks through every object, and a site has a hundred thousand before its first request:
60 to 90 ms each time, about once for 27,000 objects that work has made. What was loaded at the start is never garbage.
"""

import gc


def ignore_loaded() -> None:
    """Leave out of garbage collections what is loaded now. For the start of a server, when the site is loaded."""
    gc.collect()
    gc.freeze()
