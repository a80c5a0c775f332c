"""The attacks, by what they aim at. Importing this package registers them in `attackers.ATTACKS`.

database.py   connections, locks, passwords, large copies     frames.py   floods and expensive texts on sockets
providers.py  answers without end, and a process that dies    http.py     floods, uploads, slow clients
documents.py  changes, logs, and selections of documents
"""

from . import database, documents, frames, http, providers

__all__ = ["database", "documents", "frames", "http", "providers"]
