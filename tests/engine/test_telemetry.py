"""Spans and metrics of OpenTelemetry, as a site's SDK gets them, and that their names are those of the conventions."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from chat.engine import (
    Agent,
    Completion,
    Finish,
    Limits,
    Result,
    TextDelta,
    ToolContext,
    ToolError,
    Usage,
    run_stream,
    tool,
)
from chat.engine.providers.vendors import VENDORS
from chat.engine.telemetry import PROVIDERS, Attribute, Instrument, Operation

from ..support.telemetry import installed
from ..support.upstream import Upstream, text
from .scripted import ScriptedModel, call, events_of, failed, finished, results

KNOWN = {
    line for line in (Path(__file__).parent / "genai_names.txt").read_text("utf-8").split("\n") if line[:1] not in "# "
}
OURS = {"nous_chat.run.id"}
SECRET = "the rain in Spain"

_exporter, _reader = installed()


@pytest.fixture(autouse=True)
def _no_spans() -> None:
    _exporter.clear()


def spans() -> dict[str, ReadableSpan]:
    """By name. Each may have only names that exist."""
    found = {span.name: span for span in _exporter.get_finished_spans()}
    for span in found.values():
        assert set(span.attributes or ()) <= KNOWN | OURS
    return found


def measured() -> tuple[Counter[tuple[str, str]], dict[str, Any]]:
    """How many values each histogram has, by name and operation; and its bounds, by name. Since the process started."""
    data: Any = _reader.get_metrics_data()
    counts: Counter[tuple[str, str]] = Counter()
    bounds = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
        for point in metric.data.data_points:
            assert {metric.name, *point.attributes} <= KNOWN
            counts[metric.name, point.attributes["gen_ai.operation.name"]] += point.count
            bounds[metric.name] = point.explicit_bounds
    return counts, bounds


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}, {trace.get_current_span().get_span_context().span_id}"


@tool
def broken() -> str:
    """Fails."""
    raise ToolError("It is broken.")


HELLO = [TextDelta("Hi "), TextDelta(SECRET), Completion("stop", Usage(10, 3, 13, 4, 1))]


def test_every_name_is_one_of_the_conventions() -> None:
    for table in (Operation, Attribute, Instrument):
        assert {member.value for member in table} <= KNOWN
    assert set(PROVIDERS.values()) <= KNOWN
    assert set(PROVIDERS) <= set(VENDORS)
    unknown = {PROVIDERS.get(name, name) for name in VENDORS} - KNOWN
    assert unknown == {name for name, vendor in VENDORS.items() if vendor.local} | {"openrouter", "together"}


def test_a_run_is_a_span_with_its_requests_and_calls_below_it() -> None:
    model = ScriptedModel([call("weather", city="Paris"), Completion("tool_calls", Usage(5, 7))], HELLO)
    agent = model.agent(tools=[weather], name="Helper", limits=Limits(max_output_tokens=500))
    events = events_of(agent, SECRET, context=ToolContext(trace_attributes={Attribute.THREAD: "7"}))
    assert finished(events).text.endswith(SECRET)
    names = [span.name for span in _exporter.get_finished_spans()]
    assert names == ["chat script", "execute_tool weather", "chat script", "invoke_agent Helper"]
    first, tool_call, second, run = _exporter.get_finished_spans()
    spans()
    assert run.parent is None
    assert run.context is not None
    for child in (first, tool_call, second):
        assert child.parent is not None
        assert child.parent.span_id == run.context.span_id
        assert child.status.status_code is StatusCode.UNSET
    assert (run.kind, first.kind, tool_call.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.INTERNAL)
    assert attributes(run) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "Helper",
        "gen_ai.conversation.id": "7",
        "gen_ai.provider.name": "demo",
        "gen_ai.request.model": "script",
    }
    found = attributes(second)
    assert 0 <= found.pop("gen_ai.response.time_to_first_chunk") < 60
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "demo",
        "gen_ai.request.model": "script",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 500,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 1,
    }
    assert attributes(tool_call) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "1",
    }
    assert tool_call.context is not None
    [result] = results(events)
    assert result.text == f"Sunny in Paris, {tool_call.context.span_id}", "its own spans go below this one"


def test_no_text_is_traced_unless_it_is_switched_on() -> None:
    def run(**options: Any) -> str:
        _exporter.clear()
        model = ScriptedModel([call("weather", city=SECRET), Completion("tool_calls")], HELLO)
        events_of(model.agent(tools=[weather], instructions=SECRET, **options), f"{SECRET} sk-{'a' * 20}")
        return "\n".join(span.to_json() for span in _exporter.get_finished_spans())

    assert SECRET not in run()
    traced = run(trace_content=True)
    assert SECRET in traced
    assert "sk-a" not in traced, "keys are masked"
    first, tool_call, second, _ = _exporter.get_finished_spans()
    spans()
    assert json.loads(attributes(first)["gen_ai.system_instructions"]) == [{"type": "text", "content": SECRET}]
    [asked] = json.loads(attributes(first)["gen_ai.input.messages"])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": f"{SECRET} ***"}]}
    arguments = {"city": SECRET}
    assert json.loads(attributes(first)["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "1", "name": "weather", "arguments": arguments}],
            "finish_reason": "tool_calls",
        }
    ]
    assert json.loads(attributes(tool_call)["gen_ai.tool.call.arguments"]) == arguments
    assert attributes(tool_call)["gen_ai.tool.call.result"].startswith(f"Sunny in {SECRET}")
    history = json.loads(attributes(second)["gen_ai.input.messages"])
    assert [message["role"] for message in history] == ["user", "assistant", "tool"]
    assert history[2]["parts"][0]["type"] == "tool_call_response"
    [said] = json.loads(attributes(second)["gen_ai.output.messages"])
    assert said["parts"] == [{"type": "text", "content": f"Hi {SECRET}"}]


def test_failures_are_errors_with_their_code(upstream: Upstream) -> None:
    environ = {"CUSTOM_BASE_URL": f"{upstream.url}/v1", "CUSTOM_API_KEY": "sk-test-0123456789"}
    agent = Agent(
        "custom:status@code=500", fallback=["custom:words@n=3"], environ=environ, limits=Limits(max_retries=0)
    )
    assert finished(events_of(agent)).text == text(3)
    found = spans()
    refused, answered = found["chat status@code=500"], found["chat words@n=3"]
    assert refused.status.status_code is StatusCode.ERROR
    assert attributes(refused)["error.type"] == "server_error"
    assert attributes(refused)["server.address"] == "127.0.0.1"
    assert attributes(refused)["server.port"] == upstream.port
    assert answered.status.status_code is StatusCode.UNSET
    assert found["invoke_agent assistant"].status.status_code is StatusCode.UNSET
    _exporter.clear()
    alone = Agent("custom:status@code=500", environ=environ, limits=Limits(max_retries=0))
    assert failed(events_of(alone)).error.code == "server_error"
    assert attributes(spans()["invoke_agent assistant"])["error.type"] == "server_error"
    _exporter.clear()
    events_of(ScriptedModel([call("broken")], HELLO).agent(tools=[broken]))
    assert attributes(spans()["execute_tool broken"])["error.type"] == "tool_error"


def test_a_stopped_run_ends_its_spans_and_is_no_error() -> None:
    async def scenario() -> None:
        forever = asyncio.Event()
        agent = ScriptedModel([TextDelta("Hi"), forever.wait]).agent()
        async with aclosing(run_stream(agent, "Hi")) as stream:
            async for _ in stream:
                break

    asyncio.run(scenario())
    assert set(spans()) == {"chat script", "invoke_agent assistant"}
    assert {span.status.status_code for span in spans().values()} == {StatusCode.UNSET}


def test_durations_and_tokens_are_measured() -> None:
    before, _ = measured()
    model = ScriptedModel([call("weather", city="Paris"), Completion("tool_calls", Usage(5, 7))], HELLO)
    events_of(model.agent(tools=[weather]))
    after, bounds = measured()
    for name, operation, number in (
        ("gen_ai.invoke_agent.duration", "invoke_agent", 1),
        ("gen_ai.client.operation.duration", "chat", 2),
        ("gen_ai.client.operation.time_to_first_chunk", "chat", 2),
        ("gen_ai.execute_tool.duration", "execute_tool", 1),
        ("gen_ai.client.token.usage", "chat", 4),  # input and output
    ):
        assert after[name, operation] - before[name, operation] == number, name
    assert bounds["gen_ai.client.token.usage"][:3] == (1, 4, 16)
    assert bounds["gen_ai.client.operation.duration"][0] == 0.01


def test_a_custom_agent_has_a_span_of_its_run() -> None:
    class Own:
        async def run_stream(self, messages: Any, *, context: Any) -> Any:
            yield TextDelta("Hi")
            yield Finish(Result("Hi"))

    events_of(Own())
    assert attributes(spans()["invoke_agent Own"])["gen_ai.agent.name"] == "Own"


def test_without_opentelemetry_nothing_is_measured_and_everything_works() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None  # as if it was not installed
import asyncio
from chat.engine import Agent, run, telemetry
assert not telemetry.IS_INSTALLED
assert telemetry.run_span("a", {}) is telemetry.NOTHING
print(asyncio.run(run(Agent("demo", trace_content=True), "usage")).text[:20])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
