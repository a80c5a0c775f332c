"""nousproject's settings with the agents of the screenshots: the demo, and a clerk whose tool needs approval.

From the environment: MAX_RUNS, DAILY_TOKENS.
"""

import os

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = {
    "AGENTS": {
        "assistant": {
            "starters": ["What can I try here?", "Write a report", "Fill a table"],
        },
        "clerk": {"name": "Clerk", "agent": "tests.sites.clerk.agent"},
    },
    "MAX_RUNS": int(os.environ.get("MAX_RUNS", "100")),
    "BUDGETS": [{"per": "user", "tokens": int(os.environ.get("DAILY_TOKENS", "1000000"))}],
}
