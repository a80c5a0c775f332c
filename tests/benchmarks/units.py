"""Where `hops` and `openings` measure units of work: in the database of DATABASE_URL, where they leave their rows, or
in a new SQLite. In one thread and without a server, so that the time is that of the unit of work alone; PostgreSQL's
own time is only in the time by the clock.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import django
from django.core.management import call_command


def measure_units(main: Callable[[int], None], messages: int) -> None:
    """Call `main` with how many messages the conversations have: the argument of the command, else `messages`."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(folder, 'db.sqlite3')}")
        django.setup()
        call_command("migrate", verbosity=0)
        main(int(sys.argv[1]) if len(sys.argv) > 1 else messages)
