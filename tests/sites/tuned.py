"""The site's settings with some of the chat's own, from the environment: NOUS_CHAT holds them as JSON, PATIENCE how
many seconds a reader may be behind, TICK how many pass between two looks.
"""

import json
import os

from chat.consumers import flow_control
from chat.runs import liveness
from nousproject.settings import *  # noqa: F403

flow_control.PATIENCE = float(os.environ.get("PATIENCE", flow_control.PATIENCE))
liveness.TICK = float(os.environ.get("TICK", liveness.TICK))

NOUS_CHAT = json.loads(os.environ["NOUS_CHAT"])
DEBUG = False  # else Django keeps every query in memory
ALLOWED_HOSTS = ["127.0.0.1"]
