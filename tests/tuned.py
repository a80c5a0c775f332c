"""The site's settings with some of the chat's own, from the environment: NOUS_CHAT holds them as JSON."""

import json
import os

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = json.loads(os.environ["NOUS_CHAT"])
