import asyncio
import dataclasses
import enum
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import Agent, ConfigurationError, TextDelta, ToolCall, ToolContext, ToolError, ToolResult, tool
from chat.engine.tools import Tool

from .scripted import ScriptedModel, call, collect, events_of, results


class Unit(enum.Enum):
    METRIC = "metric"
    IMPERIAL = "imperial"


@dataclasses.dataclass
class Place:
    city: str
    tags: list[str] = dataclasses.field(default_factory=list)


class Box(msgspec.Struct):
    wide: int
    inside: "Box | None" = None


class Options(TypedDict, total=False):
    loud: bool


@tool
def weather(
    city: Annotated[str, "The city's name in English"],
    days: int = 1,
    unit: Unit = Unit.METRIC,
    kind: Literal["short", "long"] = "short",
) -> str:
    """The weather of the next days
    in a city.

    Nobody tells the model about this.

    Args:
        city: Not this one.
        days (int): How many days,
            at most ten.
    """
    return f"{city} {days} {unit.value} {kind}"


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2), max_leaves=4
)


def result_of(function: Any, arguments: dict[str, Any] | None, **options: Any) -> ToolResult:
    """The result that a model gets for a call with these arguments."""
    name = function.name if isinstance(function, Tool) else function.__name__
    model = ScriptedModel([ToolCall("1", name, arguments)], [TextDelta("ok")])
    (result,) = results(events_of(model.agent(tools=[function]), **options))
    return result


class TestSchema:
    def test_the_spec_has_the_name_the_first_paragraph_and_the_parameters(self) -> None:
        assert weather.name == "weather"
        assert weather.description == "The weather of the next days in a city."
        assert weather.schema["type"] == "object"
        assert weather.schema["required"] == ["city"]
        assert weather.schema["additionalProperties"] is False
        assert weather.schema["properties"]["city"] == {"type": "string", "description": "The city's name in English"}
        assert weather.schema["properties"]["days"] == {
            "type": "integer",
            "description": "How many days, at most ten.",
            "default": 1,
        }
        assert weather.schema["properties"]["kind"] == {
            "type": "string",
            "enum": ["long", "short"],
            "default": "short",
        }
        assert weather.schema["$defs"]["Unit"] == {"type": "string", "enum": ["imperial", "metric"]}
        assert "title" not in json.dumps(weather.schema)

    def test_every_type_that_msgspec_knows_may_be_a_parameter(self) -> None:
        @tool
        def everything(
            place: Place,
            box: Box,
            options: Options,
            when: date,
            size: Annotated[int, msgspec.Meta(ge=1, description="How large")],
            anything: Any,
            maybe: str | None,
        ) -> list[Any]:
            """Takes a lot."""
            return [place, box, options, when, size, anything, maybe]

        assert everything.schema["properties"]["size"] == {"type": "integer", "minimum": 1, "description": "How large"}
        assert everything.schema["properties"]["maybe"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
        assert set(everything.schema["$defs"]) == {"Place", "Box", "Options"}
        arguments = {
            "place": {"city": "Oslo"},
            "box": {"wide": 1, "inside": {"wide": 2}},
            "options": {"loud": True},
            "when": "2026-11-23",
            "size": 3,
            "anything": [1],
            "maybe": None,
        }
        received = json.loads(result_of(everything, arguments).text)
        assert received[:4] == [
            {"city": "Oslo", "tags": []},
            {"wide": 1, "inside": {"wide": 2, "inside": None}},
            {"loud": True},
            "2026-11-23",
        ]

    def test_sphinx_style_descriptions_of_parameters_are_read(self) -> None:
        def search(query: str, limit: int = 5) -> None:
            """Search.
            :param str query: What for.
            :param limit: How many.
            :returns: nothing
            """

        search_tool = tool(search)
        assert search_tool.description == "Search."
        described = {name: parameter["description"] for name, parameter in search_tool.schema["properties"].items()}
        assert described == {"query": "What for.", "limit": "How many."}

    def test_a_default_may_be_any_object(self) -> None:
        missing = object()

        @tool
        def f(a: str | None = missing, b: list[int] = [1]) -> str:  # type: ignore[assignment]  # noqa: B006
            return f"{a is missing} {b}"

        assert "default" not in f.schema["properties"]["a"]
        assert f.schema["properties"]["b"]["default"] == [1]
        assert result_of(f, {}).text == "True [1]"

    def test_a_tool_stays_a_function(self) -> None:
        assert weather("Oslo", days=2) == "Oslo 2 metric short"
        assert weather.__doc__ is not None
        assert getattr(weather, "__name__") == "weather"  # noqa: B009  # unknown to type checkers

    def test_name_and_description_can_be_given(self) -> None:
        @tool(name="sum-up", description="Adds.")
        def add(x: int, y: int) -> int:
            return x + y

        assert (add.spec.name, add.spec.description) == ("sum-up", "Adds.")
        assert result_of(add, {"x": 1, "y": 2}) == ToolResult("1", "sum-up", "3")

    def test_bound_methods_can_be_tools(self) -> None:
        class Shop:
            def price(self, of: str) -> str:
                """What it costs."""
                return f"{of} is 3"

        assert result_of(tool(Shop().price), {"of": "tea"}).text == "tea is 3"

    @pytest.mark.parametrize(
        ("function", "problem"),
        [
            (lambda x: x, "not a name for a tool"),
            (eval("lambda *a: 1"), "not a name for a tool"),
        ],
    )
    def test_a_function_without_a_name_cannot_be_a_tool(self, function: Callable[..., Any], problem: str) -> None:
        with pytest.raises(ConfigurationError, match=problem):
            tool(function)

    def test_a_function_that_a_model_cannot_call_cannot_be_a_tool(self) -> None:
        def untyped(x) -> None: ...  # type: ignore[no-untyped-def]
        def spread(*words: str) -> None: ...
        def strange(x: Callable[[], int]) -> None: ...
        def unknown(x: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

        functions: list[tuple[Callable[..., Any], str]] = [
            (untyped, "x of the tool untyped needs a type"),
            (spread, "no name that a model could use"),
            (strange, "JSON cannot hold the arguments of the tool strange: type .*Callable"),
            (unknown, "cannot be read: name 'Nowhere'"),
        ]
        for function, problem in functions:
            with pytest.raises(ConfigurationError, match=problem):
                tool(function)

    def test_two_tools_of_one_name_are_a_configuration_error(self) -> None:
        with pytest.raises(ConfigurationError, match="two tools named weather"):
            Agent("demo", tools=[weather, weather.function])


class TestArguments:
    def test_arguments_are_converted_to_the_parameters_types(self) -> None:
        assert result_of(weather, {"city": "Oslo", "unit": "imperial"}).text == "Oslo 1 imperial short"

    def test_a_number_written_as_a_string_is_accepted(self) -> None:
        assert result_of(weather, {"city": "Oslo", "days": "3"}).text == "Oslo 3 metric short"

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({}, "missing required field `city`"),
            ({"city": 3}, "city: Expected `str`, got `int`."),
            ({"city": "Oslo", "town": "Rome"}, "unknown field `town`"),
            ({"city": "Oslo", "kind": "middle"}, "kind: Invalid enum value 'middle'."),
            (None, "not a JSON object"),
        ],
    )
    def test_the_model_is_told_what_is_wrong_with_its_arguments(
        self, arguments: dict[str, Any] | None, problem: str
    ) -> None:
        result = result_of(weather, arguments)
        assert result.failed
        assert problem in result.text
        assert "Call it again" in result.text

    def test_deeply_nested_arguments_are_refused(self) -> None:
        @tool
        def open_box(box: Box) -> str:
            return "open"

        deep: dict[str, Any] = {"wide": 1}
        for _ in range(10_000):
            deep = {"wide": 1, "inside": deep}
        assert "are not a JSON object" in result_of(open_box, {"box": deep}).text

    def test_an_exception_in_a_custom_type_is_a_failed_result(self, caplog: pytest.LogCaptureFixture) -> None:
        @dataclasses.dataclass
        class Broken:
            x: int

            def __post_init__(self) -> None:
                raise KeyError("secret")

        @tool
        def f(broken: Broken) -> None: ...

        with caplog.at_level(logging.CRITICAL, "nous_chat.engine"):
            result = result_of(f, {"broken": {"x": 1}})
        assert result == ToolResult("1", "f", "The arguments of f cannot be read (KeyError).", True)

    @given(st.dictionaries(st.sampled_from(["city", "days", "unit", "kind", "x", ""]), JSON, max_size=3))
    def test_invalid_arguments_raise_nothing_but_tool_errors(self, arguments: dict[str, Any]) -> None:
        try:
            weather.validate(arguments)
        except ToolError as error:
            assert "weather" in error.message

    @given(st.builds(Place, st.text(), st.lists(st.text())), st.integers(-(2**63), 2**63 - 1))
    def test_valid_arguments_are_passed_unchanged(self, place: Place, number: int) -> None:
        @tool
        def f(place: Place, number: int) -> None: ...

        arguments = msgspec.json.decode(msgspec.json.encode({"place": place, "number": number}))
        assert f.validate(arguments) == {"place": place, "number": number}


class TestResults:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("as it is", "as it is"),
            (None, "null"),
            (Place("Oslo", ["cold"]), '{"city":"Oslo","tags":["cold"]}'),
            ({"a": [1, date(2026, 1, 1)]}, '{"a":[1,"2026-01-01"]}'),
            ("half of \ud83c", "half of ?"),
        ],
    )
    def test_a_string_is_unchanged_and_other_results_become_json(self, value: Any, text: str) -> None:
        @tool
        def give() -> Any:
            return value

        assert result_of(give, {}) == ToolResult("1", "give", text)

    def test_a_long_result_is_truncated_with_a_note(self) -> None:
        @tool
        def long() -> str:
            return "x" * 50_000_000

        @tool(max_chars=100)
        def longer() -> list[int]:
            return list(range(1000))

        text = result_of(long, {}).text
        assert len(text) == 16_000
        assert text.endswith("x\n[Cut off here: the result has 50000000 characters.]")
        assert len(result_of(longer, {}).text) == 100

    def test_a_result_that_json_cannot_hold_is_a_failure(self, caplog: pytest.LogCaptureFixture) -> None:
        @tool
        def give() -> object:
            return object()

        with caplog.at_level(logging.CRITICAL, "nous_chat.engine"):
            assert result_of(give, {}) == ToolResult(
                "1", "give", "give failed (TypeError). The error has been logged.", True
            )

    def test_an_exception_is_logged_and_the_model_gets_only_its_type(self, caplog: pytest.LogCaptureFixture) -> None:
        @tool
        def connect() -> str:
            raise ConnectionError("postgres://admin:hunter2@db")

        result = result_of(connect, {})
        assert result == ToolResult(
            "1", "connect", "connect failed (ConnectionError). The error has been logged.", True
        )
        assert "Traceback" in caplog.text

    def test_a_tool_error_reaches_the_model(self) -> None:
        @tool
        async def find(name: str) -> str:
            raise ToolError(f"There is no {name}. Ask for another, sk-or-with-a-key.")

        assert result_of(find, {"name": "Ada"}) == ToolResult(
            "1", "find", "There is no Ada. Ask for another, ***.", True
        )

    @pytest.mark.parametrize("error", [SystemExit, StopIteration, asyncio.CancelledError, GeneratorExit])
    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_no_exception_of_a_tool_ends_the_run(self, error: type[BaseException], kind: str) -> None:
        if kind == "sync":

            @tool(name="leave")
            def leave() -> str:
                raise error
        else:

            @tool(name="leave")
            async def leave() -> str:
                raise error

        assert result_of(leave, {}).failed


class TestContext:
    def test_a_first_parameter_of_type_tool_context_is_not_in_the_schema(self) -> None:
        @tool
        def who(context: ToolContext, greeting: str) -> str:
            return f"{greeting} {context.user} {context.deps} {context.call_id} {context.is_cancelled()}"

        assert list(who.schema["properties"]) == ["greeting"]
        result = result_of(who, {"greeting": "Hi"}, context=ToolContext(user="Ada", deps=7))
        assert result.text == "Hi Ada 7 1 False"

    def test_there_is_always_a_context(self) -> None:
        @tool
        async def who(context: ToolContext) -> str:
            return str(context.user)

        assert result_of(who, {}).text == "None"

    def test_a_synchronous_tool_runs_in_its_own_thread_within_the_scope(self) -> None:
        steps = []

        @contextmanager
        def scope() -> Iterator[None]:
            steps.append(("in", threading.current_thread()))
            yield
            steps.append(("out", threading.current_thread()))

        @tool
        def where() -> str:
            steps.append(("call", threading.current_thread()))
            return ""

        result_of(where, {}, context=ToolContext(thread_scope=scope))
        assert [step for step, _ in steps] == ["in", "call", "out"]
        (thread,) = {thread for _, thread in steps}
        assert thread is not threading.main_thread()
        assert thread.daemon


def test_tools_see_the_context_variables_of_the_run() -> None:
    language: ContextVar[str] = ContextVar("language", default="en")

    @tool
    def speak() -> str:
        return language.get()

    async def scenario() -> str:
        language.set("nb")
        model = ScriptedModel([call("speak")], [TextDelta("ok")])
        return results(await collect(model.agent(tools=[speak])))[0].text

    assert asyncio.run(scenario()) == "nb"
