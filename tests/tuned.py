"""The site's settings with some of the chat's own, from the environment: NOUS_CHAT holds them as JSON, PATIENCE how
many seconds a reader may be behind.
"""

import json
import os

from chat import credit
from nousproject.settings import *  # noqa: F403

credit.PATIENCE = float(os.environ.get("PATIENCE", credit.PATIENCE))

NOUS_CHAT = json.loads(os.environ["NOUS_CHAT"])
DEBUG = False  # else Django keeps every query in memory
ALLOWED_HOSTS = ["127.0.0.1"]
