"""The tool of the model `told`. A user must approve each call."""

from chat.engine import tool


@tool(requires_approval=True)
async def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"
