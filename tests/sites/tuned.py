"""nousproject's settings with NOUS_CHAT from the environment, as JSON.

Also from the environment, in seconds: PATIENCE, how far a reader may fall behind; TICK, how often a process checks
that it was not frozen.
"""

import json
import os

from chat.consumers import flow_control
from chat.runs import liveness
from nousproject.settings import *  # noqa: F403

flow_control.PATIENCE = float(os.environ.get("PATIENCE", flow_control.PATIENCE))
liveness.TICK = float(os.environ.get("TICK", liveness.TICK))

NOUS_CHAT = json.loads(os.environ["NOUS_CHAT"])
DEBUG = False  # with DEBUG, Django keeps every query in memory
ALLOWED_HOSTS = ["127.0.0.1"]
