"""`python -m tests.support.backends COMMAND...`: run a command with a PostgreSQL and a Redis of its own.

The command finds their addresses in DATABASE_URL and REDIS_URL.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from . import servers


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that both servers are stopped
    programs = servers.postgres_programs()
    if programs is None:
        sys.exit("There is no PostgreSQL server: no initdb on PATH or in /usr/lib/postgresql.")
    redis = servers.start_redis()
    # Nothing has to survive a crash, and each process of each site keeps a pool of connections.
    options = ("fsync=off", "max_connections=500")
    with servers.running(redis), tempfile.TemporaryDirectory(prefix="nous-chat-") as folder:
        os.chmod(folder, 0o755)  # PostgreSQL runs as another user than root
        with servers.postgres(programs, Path(folder, "postgres"), *options) as (database_url, _):
            env = os.environ | {"DATABASE_URL": database_url, "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"}
            return subprocess.run(sys.argv[1:], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
