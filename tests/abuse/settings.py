"""The site's settings as in production, with two agents: `assistant` streams at a steady pace, from the provider of the
benchmarks; `told` asks the provider of the tests, and the question tells that what to do.
"""

import os
from pathlib import Path

from nousproject.settings import *  # noqa: F403

from .people import AGENT, MODEL

STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
MEDIA_ROOT = Path(os.environ["MEDIA_ROOT"])

NOUS_CHAT = {
    "AGENTS": {
        AGENT: {"model": "custom:bench"},
        MODEL: {"model": "vllm:told", "tools": ["tests.sites.clerk.look_up"]},
    },
    "TITLE_MODEL": "",
    "GUESTS": {},
}
