"""The site's settings as on the internet, but for TLS: DEBUG off, hashed static files, in a folder of the test's."""

import os
from pathlib import Path

from nousproject.settings import *  # noqa: F403

STATIC_ROOT = Path(os.environ["STATIC_ROOT"])
