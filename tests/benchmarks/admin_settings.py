"""The settings of a made-up site that is administrated. From the environment: FOLDER, for files, and RETENTION."""

import json
import os
from pathlib import Path

_FOLDER = Path(os.environ["FOLDER"])
os.environ["STATIC_ROOT"] = str(_FOLDER / "static")

from tests.sites.production import *  # noqa: E402, F403
from tests.sites.production import NOUS_CHAT  # noqa: E402

MEDIA_ROOT = _FOLDER / "media"
NOUS_CHAT = NOUS_CHAT | {"RETENTION": json.loads(os.environ.get("RETENTION", "[]"))}
