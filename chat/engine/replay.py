"""Plays a recorded exchange through the parser of its wire, as `demo:FILE.sse` does."""

from contextlib import aclosing

from .agent import Agent
from .events import Error, Finish
from .limits import Limits
from .providers.recording import RecordedExchange
from .providers.replay import ReplayProvider
from .runner import run_stream


async def replay(exchange: RecordedExchange) -> Finish | Error:
    """How the answer of an exchange that can be replayed ends."""
    provider = ReplayProvider("recording", exchange.metadata, exchange.read_body())
    async with aclosing(run_stream(Agent(provider, limits=Limits(max_retries=0)), "")) as stream:
        async for event in stream:
            if isinstance(event, Finish | Error):
                return event
    raise AssertionError("a stream ends with Finish or Error")
