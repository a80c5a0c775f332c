import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import Agent, Completion, Limits, Message, TextDelta, tool
from chat.engine.schema import SchemaMismatch
from chat.engine.structured_output import OutputType

from .scripted import ScriptedModel, call, events_of, failed, finished


@dataclasses.dataclass
class Trip:
    city: str
    days: int = 1


class Plan(msgspec.Struct):
    trips: list[Trip]
    mood: Literal["calm", "wild"] = "calm"


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": ["integer", "null"]},
        "trips": {"type": "array", "items": {"$ref": "#/$defs/trip"}},
        "kind": {"enum": ["short", "long"]},
        "size": {"anyOf": [{"type": "number"}, {"const": "huge"}]},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"trip": {"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}},
}


def answering(*texts: str) -> ScriptedModel:
    return ScriptedModel(*([TextDelta(text)] for text in texts))


class TestAnswers:
    def test_an_answer_is_parsed_as_the_type(self) -> None:
        model = answering('{"trips": [{"city": "Oslo"}], "mood": "wild"}')
        result = finished(events_of(model.agent(output_type=Plan)))
        assert result.output == Plan([Trip("Oslo")], "wild")
        assert result.text == '{"trips": [{"city": "Oslo"}], "mood": "wild"}'

    def test_the_provider_is_asked_for_its_schema(self) -> None:
        model = answering('{"city": "Oslo"}')
        events_of(model.agent(output_type=Trip))
        assert model.requests[0].output_schema == {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
            "required": ["city"],
        }
        model = answering('{"city": "Oslo"}')
        assert finished(events_of(model.agent(output_type=SCHEMA))).output == {"city": "Oslo"}
        assert model.requests[0].output_schema == SCHEMA

    @pytest.mark.parametrize(
        "text", ['```json\n{"city": "Oslo"}\n```', '\n```\n{"city": "Oslo"}```\n', ' {"city": "Oslo"} ']
    )
    def test_a_code_fence_around_the_answer_is_ignored(self, text: str) -> None:
        assert finished(events_of(answering(text).agent(output_type=Trip))).output == Trip("Oslo")

    def test_the_model_is_told_what_is_wrong_and_corrects_its_answer(self) -> None:
        model = answering("Oslo!", '{"city": 3}', '{"city": "Oslo"}')
        result = finished(events_of(model.agent(output_type=Trip), "Where?"))
        assert result.output == Trip("Oslo")
        assert result.text == 'Oslo!\n\n{"city": 3}\n\n{"city": "Oslo"}'
        assert result.messages == (Message("assistant", '{"city": "Oslo"}'),)
        sent = [(message.role, message.text) for message in model.requests[2].messages]
        assert sent[:2] == [("user", "Where?"), ("assistant", "Oslo!")]
        assert sent[2][1].startswith("That answer does not fit. It is not JSON: ")
        assert sent[3:] == [
            ("assistant", '{"city": 3}'),
            (
                "user",
                "That answer does not fit. city: Expected `str`, got `int`. "
                "Answer again, with the whole JSON object and nothing else.",
            ),
        ]

    def test_corrections_are_limited(self) -> None:
        model = answering("no")
        last = failed(events_of(model.agent(output_type=Trip)))
        assert last.error.code == "invalid_output"
        assert "It is not JSON" in last.error.detail
        assert len(model.requests) == 3
        assert last.result.messages == (Message("assistant", "no"),)
        model = answering("no")
        failed(events_of(model.agent(output_type=Trip, limits=Limits(max_corrections=0))))
        assert len(model.requests) == 1

    def test_corrections_count_as_turns(self) -> None:
        model = answering("no")
        last = failed(events_of(model.agent(output_type=Trip, limits=Limits(max_turns=2))))
        assert (last.error.code, len(model.requests)) == ("invalid_output", 2)

    def test_tool_calls_come_before_the_output(self) -> None:
        @tool
        def look() -> str:
            return "Oslo"

        model = ScriptedModel([TextDelta("Let me look."), call("look")], [TextDelta('{"city": "Oslo"}')])
        assert finished(events_of(model.agent(tools=[look], output_type=Trip))).output == Trip("Oslo")

    def test_a_refusal_need_not_match_the_type(self) -> None:
        model = ScriptedModel([Completion("stop", refusal="I will not.")])
        result = finished(events_of(model.agent(output_type=Trip)))
        assert (result.output, result.refusal) == (None, "I will not.")

    @pytest.mark.parametrize("kind", [int, list[int], {"type": "array"}, object, "Trip"])
    def test_an_output_type_must_be_an_object(self, kind: Any) -> None:
        model = answering("1")
        assert failed(events_of(Agent(model.provider, output_type=kind))).error.code == "configuration"


class TestSchemas:
    @pytest.mark.parametrize(
        "value",
        [
            {"city": "Oslo", "days": None, "trips": [{"to": "Rome"}], "kind": "long", "size": 1.5},
            {"city": "", "days": 2, "size": "huge"},
            {"city": "Oslo", "days": 2.0},
        ],
    )
    def test_a_matching_value_is_accepted(self, value: Any) -> None:
        assert OutputType(SCHEMA).parse(json.dumps(value)) == value

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ([], "The answer: expected object, got array."),
            ({}, "city: it is required, and missing."),
            ({"city": 1}, "city: expected string, got integer."),
            ({"city": "Oslo", "days": 1.5}, "days: expected integer or null, got number."),
            ({"city": "Oslo", "days": True}, "days: expected integer or null, got boolean."),
            ({"city": "Oslo", "trips": [{"to": "x"}, {}]}, "trips[1].to: it is required, and missing."),
            ({"city": "Oslo", "kind": "middle"}, 'kind: expected one of ["short","long"].'),
            ({"city": "Oslo", "size": "tiny"}, 'size: expected "huge".'),
            ({"city": "Oslo", "town": "Rome"}, "town: there is no such field."),
        ],
    )
    def test_a_mismatch_is_described_with_its_path(self, value: Any, problem: str) -> None:
        with pytest.raises(SchemaMismatch) as raised:
            OutputType(SCHEMA).parse(json.dumps(value))
        assert str(raised.value) == problem

    def test_a_deeply_nested_value_is_a_mismatch(self) -> None:
        for deep in ("[" * 10_000, '{"city":' * 10_000 + "1" + "}" * 10_000):
            for kind in (SCHEMA, Trip):
                with pytest.raises(SchemaMismatch):
                    OutputType(kind).parse(deep)
        looping = {"type": "object", "$ref": "#"}
        with pytest.raises(SchemaMismatch):
            OutputType(looping).parse("{}")

    @given(
        st.text()
        | st.recursive(st.none() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
            json.dumps
        )
    )
    def test_invalid_answers_raise_nothing_but_schema_mismatches(self, text: str) -> None:
        for kind in (SCHEMA, Plan):
            try:
                OutputType(kind).parse(text)
            except SchemaMismatch as error:
                assert str(error)


class TestPydantic:
    def test_the_engine_does_not_import_pydantic(self) -> None:
        code = "import sys, chat.engine; assert 'pydantic' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])

    def test_a_pydantic_model_can_be_an_output_type(self) -> None:
        pydantic = pytest.importorskip("pydantic")
        trip_model = pydantic.create_model("Trip", city=(str, ...), days=(int, pydantic.Field(1, gt=0)))
        model = answering('{"city": "Oslo", "days": 0}', '{"city": "Oslo", "days": 2}')
        result = finished(events_of(model.agent(output_type=trip_model)))
        assert result.output == trip_model(city="Oslo", days=2)
        assert "days: Input should be greater than 0" in model.requests[1].messages[-1].text
        assert model.requests[0].output_schema is not None
        assert model.requests[0].output_schema["required"] == ["city"]
