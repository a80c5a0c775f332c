"""nousproject's settings as in production, but without TLS and with STATIC_ROOT from the environment."""

import os
from functools import partial
from pathlib import Path

import brotli

from nousproject.settings import *  # noqa: F403

STATIC_ROOT = Path(os.environ["STATIC_ROOT"])

# The best compression takes ten times as long as all the rest of collectstatic.
brotli.compress = partial(brotli.compress, quality=1)
