"""nousproject's settings with three agents. The model of one makes 100 calls at once, that of another calls without
end; the calls of the third need approval and have long ids that begin alike.
"""

from chat.engine import Tool
from nousproject.settings import *  # noqa: F403

from . import clerk

look_up = Tool(clerk.look_up.function, requires_approval=True)

NOUS_CHAT = {
    "AGENTS": {
        "eager": {"model": "custom:calls@n=100", "tools": ["tests.sites.clerk.look_up"]},
        "tireless": {"model": "custom:calls@n=1000000", "tools": ["tests.sites.clerk.look_up"]},
        "careful": {"model": "custom:calls@n=2,chars=250", "tools": ["tests.sites.eager.look_up"]},
    }
}
