"""The site's settings with the agents that the screenshots need: the demo, and one whose tool wants an approval."""

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = {
    "AGENTS": {
        "assistant": {
            "starters": ["What can I try here?", "Explain how streaming works", "Write a short poem about patience"],
        },
        "clerk": {"name": "Clerk", "agent": "tests.clerk.agent"},
    }
}
