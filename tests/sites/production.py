"""nousproject's settings as in production, but without TLS and with STATIC_ROOT from the environment."""

import os
from pathlib import Path

from nousproject.settings import *  # noqa: F403

STATIC_ROOT = Path(os.environ["STATIC_ROOT"])
