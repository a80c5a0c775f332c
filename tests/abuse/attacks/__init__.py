"""The attacks, by what they aim at. Importing this package registers them in `attackers.ATTACKS`.

database.py   connections, locks, passwords, large copies     frames.py   floods and expensive texts on sockets
providers.py  answers without end, and a process that dies    http.py     floods, uploads, slow clients
"""

from . import database, frames, http, providers

__all__ = ["database", "frames", "http", "providers"]
