"""nousproject's settings with an agent that writes documents. From the environment: MODEL, its model."""

import os

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = {"AGENTS": {"assistant": {"documents": True, "model": os.environ["MODEL"]}}}
