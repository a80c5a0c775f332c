"""nousproject's settings with NOUS_CHAT from the environment, as JSON, and with a clock that is CLOCK_AHEAD seconds
ahead.
"""

import json
import os
import time
from datetime import datetime, timedelta

from django.utils import timezone

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = json.loads(os.environ.get("NOUS_CHAT", "{}"))

if ahead := float(os.environ.get("CLOCK_AHEAD", "0")):
    _time, _now = time.time, timezone.now

    def _time_ahead() -> float:
        return _time() + ahead

    def _now_ahead() -> datetime:
        return _now() + timedelta(seconds=ahead)

    time.time, timezone.now = _time_ahead, _now_ahead
