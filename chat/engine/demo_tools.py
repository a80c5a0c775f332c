"""The tools of the demo's tour (providers/demo_script.py). The site gives them to agents whose model is the demo."""

from datetime import UTC, datetime

from .tools import tool


@tool
def current_time() -> str:
    """The time now, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


@tool(requires_approval=True)
def send_postcard(to: str, text: str) -> str:
    """Send a postcard. The demo only pretends to."""
    return f"A postcard to {to} would be on its way now. The demo sent nothing."


DEMO_TOOLS = (current_time, send_postcard)
