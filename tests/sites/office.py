"""nousproject's settings with three agents: one with the environment's model, a clerk with tools (clerk.py), and one
whose answers are cut off.

From the environment: PATIENCE, the seconds a reader may fall behind; DISCONNECT_GRACE; MAX_RUNS; DAILY_TOKENS;
NOUS_CHAT_METRICS_TOKEN.
"""

import os

from chat import engine
from chat.consumers import flow_control
from nousproject.settings import *  # noqa: F403

flow_control.PATIENCE = float(os.environ.get("PATIENCE", flow_control.PATIENCE))

wordy = engine.Agent(
    engine.DemoProvider(
        script=[engine.TextDelta("As long as I may, "), engine.Completion("length", engine.Usage(3, 5, 8))]
    )
)

NOUS_CHAT = {
    "AGENTS": {
        "assistant": {},
        "clerk": {"name": "Clerk", "agent": "tests.sites.clerk.agent"},
        "wordy": {"name": "Wordy", "agent": "tests.sites.office.wordy"},
    },
    "MAX_RUNS": int(os.environ.get("MAX_RUNS", "100")),
    "DISCONNECT_GRACE": float(os.environ.get("DISCONNECT_GRACE", "1")),
    "METRICS_TOKEN": os.environ.get("NOUS_CHAT_METRICS_TOKEN", ""),
    "PRICES": {"custom:words@n=30": {"input": 1000, "output": 2000}},
    "CURRENCY": "EUR",
    "BUDGETS": [{"per": "user", "tokens": int(os.environ.get("DAILY_TOKENS", "1000000"))}],
}
