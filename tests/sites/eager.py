"""nousproject's settings with an agent whose model makes 2,000 calls at once."""

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = {"AGENTS": {"eager": {"model": "custom:calls@n=2000", "tools": ["tests.sites.clerk.look_up"]}}}
