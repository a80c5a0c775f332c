"""A sample of the changed answers of `make chaos` (docs/chaos.md), the same in every run of the suite."""

from typing import Any

import pytest

from chat.engine.providers import openai

from ..chaos import wires


def test_the_same_seed_gives_the_same_input() -> None:
    answers = list(wires.own_answers())
    assert wires.make_input(answers, 7) == wires.make_input(answers, 7)
    assert len({wires.make_input(answers, seed).body for seed in range(100)}) > 90


def test_changed_answers_lose_nothing_without_an_error() -> None:
    assert wires.run(2000, 1) == 0


def test_a_parser_that_ignores_values_of_another_type_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def text_or_nothing(value: Any, field: str) -> str:
        return value if isinstance(value, str) else ""

    monkeypatch.setattr(openai, "text_of", text_or_nothing)
    assert wires.run(500, 1) > 0
