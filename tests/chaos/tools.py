"""What the model `told` may call: it always waits for a person."""

from chat.engine import tool


@tool(requires_approval=True)
async def weather(city: str) -> str:
    """How it is there."""
    return f"sunny in {city}"
