"""The site's settings with some of the chat's own, from the environment: NOUS_CHAT holds them as JSON, PATIENCE how
many seconds a reader may be behind, TICK how many pass between two looks.
"""

import json
import os

from chat import credit, pulse
from nousproject.settings import *  # noqa: F403

credit.PATIENCE = float(os.environ.get("PATIENCE", credit.PATIENCE))
pulse.TICK = float(os.environ.get("TICK", pulse.TICK))

NOUS_CHAT = json.loads(os.environ["NOUS_CHAT"])
DEBUG = False  # else Django keeps every query in memory
ALLOWED_HOSTS = ["127.0.0.1"]
