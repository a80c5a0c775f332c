"""The engine: an agent and a question in, typed events out. Usable from any script; it knows nothing of Django.

agent.py      what answers                  runner.py       run_stream, resume, run: question in, events out
events.py     what a stream says            messages.py     what goes in, and the result
tools.py      functions for models          calls.py        tool calls in, results out
schema.py     types to JSON Schema          output.py       answers that have a form
approvals.py  what people decide on calls   retry.py        try again, then the next model
own.py        bring your own agent          adapters/       other frameworks' agents as ours
sentence.py   what people are told
answer.py     events in, Result out
providers/    a module for each wire        sse.py          bytes to server-sent events
limits.py     how long, how much            connections.py  the HTTP client that all runs share
usage.py      token counts                  exceptions.py   what can go wrong
coalesce.py   many deltas, few frames       discover.py     which model, where nobody named one
"""

from .agent import Agent
from .approvals import Approve, Decision, Reject
from .coalesce import Coalescer
from .connections import connections
from .custom_agent import OwnAgent, ResumableAgent
from .discover import find_local_model, model_from_environment
from .events import Error, Event, Finish, TextDelta, ThinkingDelta, ToolCall, ToolResult
from .exceptions import ConfigurationError, DeadlineError, EngineError, ProviderError
from .limits import Limits
from .messages import AT_LIMIT, GO_ON, Image, Message, Replay, Result
from .providers.demo import DemoProvider
from .providers.provider import Completion, Provider
from .runner import resume, run, run_stream
from .tools import Tool, ToolContext, ToolError, tool
from .usage import Usage

__all__ = [
    "AT_LIMIT",
    "GO_ON",
    "Agent",
    "Approve",
    "Coalescer",
    "Completion",
    "ConfigurationError",
    "DeadlineError",
    "Decision",
    "DemoProvider",
    "EngineError",
    "Error",
    "Event",
    "Finish",
    "Image",
    "Limits",
    "Message",
    "OwnAgent",
    "Provider",
    "ProviderError",
    "Reject",
    "Replay",
    "Result",
    "ResumableAgent",
    "TextDelta",
    "ThinkingDelta",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolError",
    "ToolResult",
    "Usage",
    "connections",
    "find_local_model",
    "model_from_environment",
    "resume",
    "run",
    "run_stream",
    "tool",
]
