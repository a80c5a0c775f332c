"""nousproject's settings with an agent whose model makes 2,000 calls at once, and one whose calls need approval and
have long ids that begin alike.
"""

from chat.engine import Tool
from nousproject.settings import *  # noqa: F403

from . import clerk

look_up = Tool(clerk.look_up.function, requires_approval=True)

NOUS_CHAT = {
    "AGENTS": {
        "eager": {"model": "custom:calls@n=2000", "tools": ["tests.sites.clerk.look_up"]},
        "careful": {"model": "custom:calls@n=2,chars=250", "tools": ["tests.sites.eager.look_up"]},
    }
}
