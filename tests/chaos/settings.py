"""The site's settings with short timeouts and a channel layer that can lose messages. NOUS_CHAT in the environment
(JSON) adds to them.
"""

import json
import os

from nousproject.settings import *  # noqa: F403

CHANNEL_LAYERS["default"]["BACKEND"] = "tests.support.lossy_layer.LossyRedisLayer"  # noqa: F405
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405

NOUS_CHAT = {
    "MODEL": "custom:told",
    "AGENTS": {"told": {"tools": ["tests.chaos.tools.weather"], "documents": True}},
    "DISCONNECT_GRACE": 1,
    "DRAIN_SECONDS": 2,
    "HOST_TIMEOUT": 4,
    "FIRST_TOKEN_TIMEOUT": 3,
    "IDLE_TIMEOUT": 2,
    "TOTAL_TIMEOUT": 30,
    "BREAKER_SECONDS": 1,
} | json.loads(os.environ.get("NOUS_CHAT", "{}"))
