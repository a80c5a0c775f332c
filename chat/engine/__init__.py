"""The engine: an agent and a question in, typed events out. It does not depend on Django, and works in any script.

agent.py              a model with its instructions, tools and limits
runner.py             run_stream, resume, run: the loop of model turns and tool calls
messages.py           the input of a run, and its Result
events.py             the output of a run
limits.py             time limits and size limits
tools.py              @tool: Python functions that a model may call
tool_runner.py        runs the tool calls of a turn
approvals.py          decisions of people about tool calls
structured_output.py  answers of a given type
schema.py             Python types to JSON Schema, and JSON values to Python types
retry.py              retries, then the fallback models
breaker.py            circuit breakers: models that are not asked for a while
custom_agent.py       the protocol for agents of your own
adapters/             agents of other frameworks
result_builder.py     builds a Result from events
coalesce.py           merges many deltas into fewer, larger ones
partial_json.py       reads arguments that are still being written
usage.py, tokens.py   token counts, and estimates of them
exceptions.py         EngineError and its subclasses
i18n.py               translatable messages
demo_tools.py         the tools of the built-in demo
discover.py           the default model: from a key in the environment, or a local server
replay.py             plays a recorded exchange with a provider
telemetry.py          spans and metrics for OpenTelemetry
connections.py        the HTTP client that all runs share
sse.py                decoder of server-sent events
providers/            a module for each provider API
"""

from .agent import Agent
from .approvals import Approve, Decision, Reject
from .breaker import Breakers, BreakerSetting, BreakerState
from .coalesce import Coalescer
from .connections import connections
from .custom_agent import CustomAgent, ResumableAgent
from .demo_tools import DEMO_TOOLS
from .discover import find_local_model, model_from_environment
from .events import (
    Error,
    Event,
    Fallback,
    Finish,
    RetryWait,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    ToolResult,
)
from .exceptions import ConfigurationError, DeadlineError, EngineError, ProviderError
from .limits import Limits
from .messages import CONTINUABLE_FINISH_REASONS, CONTINUE_PROMPT, LENGTH_FINISH_REASONS, Image, Message, Replay, Result
from .providers.demo import DemoProvider
from .providers.provider import Completion, Provider, Sampling
from .replay import replay
from .runner import resume, run, run_stream
from .tools import Tool, ToolContext, ToolError, tool
from .usage import Usage

__all__ = [
    "CONTINUABLE_FINISH_REASONS",
    "CONTINUE_PROMPT",
    "DEMO_TOOLS",
    "LENGTH_FINISH_REASONS",
    "Agent",
    "Approve",
    "BreakerSetting",
    "BreakerState",
    "Breakers",
    "Coalescer",
    "Completion",
    "ConfigurationError",
    "CustomAgent",
    "DeadlineError",
    "Decision",
    "DemoProvider",
    "EngineError",
    "Error",
    "Event",
    "Fallback",
    "Finish",
    "Image",
    "Limits",
    "Message",
    "Provider",
    "ProviderError",
    "Reject",
    "Replay",
    "Result",
    "ResumableAgent",
    "RetryWait",
    "Sampling",
    "TextDelta",
    "ThinkingDelta",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolContext",
    "ToolError",
    "ToolResult",
    "Usage",
    "connections",
    "find_local_model",
    "model_from_environment",
    "replay",
    "resume",
    "run",
    "run_stream",
    "tool",
]
