"""The engine: an agent and a question in, typed events out. Usable from any script; it knows nothing of Django.

agent.py      what answers                  runner.py       run_stream and run: agent and question in, events out
events.py     what a stream says            messages.py     what goes in, and the result
providers/    a module for each wire        sse.py          bytes to server-sent events
limits.py     how long, how much            connections.py  the HTTP client that all runs share
usage.py      token counts                  exceptions.py   what can go wrong
coalesce.py   many deltas, few frames       discover.py     which model, where nobody named one
"""

from .agent import Agent
from .coalesce import Coalescer
from .connections import connections
from .discover import find_local_model, model_from_environment
from .events import Error, Event, Finish, TextDelta, ThinkingDelta, ToolCall, ToolResult
from .exceptions import ConfigurationError, DeadlineError, EngineError, ProviderError
from .limits import Limits
from .messages import Image, Message, Replay, Result
from .providers.demo import DemoProvider
from .providers.provider import Completion, Provider
from .runner import run, run_stream
from .usage import Usage

__all__ = [
    "Agent",
    "Coalescer",
    "Completion",
    "ConfigurationError",
    "DeadlineError",
    "DemoProvider",
    "EngineError",
    "Error",
    "Event",
    "Finish",
    "Image",
    "Limits",
    "Message",
    "Provider",
    "ProviderError",
    "Replay",
    "Result",
    "TextDelta",
    "ThinkingDelta",
    "ToolCall",
    "ToolResult",
    "Usage",
    "connections",
    "find_local_model",
    "model_from_environment",
    "run",
    "run_stream",
]
