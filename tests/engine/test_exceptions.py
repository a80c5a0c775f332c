import pytest

from chat.engine import ConfigurationError, DeadlineError, EngineError, ProviderError
from chat.engine.exceptions import mask


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcDEF123_456-789",
        "sk-ant-api03-abcdefgh",
        "gsk_abcdefghijklmnopqrst",
        "AIzaSyA-1234567890abcdef",
        "xai-ABCDEFGHIJKLMNOPQRSTUV",
    ],
)
def test_everything_that_looks_like_a_key_is_masked(secret: str) -> None:
    assert secret not in mask(f"Incorrect key {secret}.")
    assert secret not in EngineError(f"with {secret}").message
    assert secret not in EngineError("x", detail=f"with {secret}").detail
    assert secret not in repr(EngineError(f"with {secret}"))
    assert secret not in str(ProviderError(f"with {secret}", "authentication", provider="openai"))


def test_tokens_and_keys_in_addresses_are_masked() -> None:
    assert mask("Authorization: Bearer eyJhbGciOi.JIUzI1NiIsInR5cCI6") == "Authorization: Bearer ***"
    assert mask("https://host/v1?key=abc123&alt=sse") == "https://host/v1?key=***&alt=sse"


def test_a_known_key_of_any_shape_is_masked() -> None:
    assert mask("no such token: hunter2!", "hunter2!") == "no such token: ***"


def test_sentences_about_keys_are_unchanged() -> None:
    said = "Incorrect API key provided: invalid-*****2345. You can find your API key at https://x.com/account/api-keys."
    assert mask(said) == said
    assert mask("a bearer token is required") == "a bearer token is required"
    assert mask("the task-oriented xai-grok-4-fast-reasoning") == "the task-oriented xai-grok-4-fast-reasoning"


def test_the_detail_is_the_message_unless_it_is_given() -> None:
    assert EngineError("x").detail == str(EngineError("x")) == "x"
    error = EngineError("The model is busy.", "overloaded", detail="openai is overloaded.")
    assert (error.message, error.detail, str(error)) == ("The model is busy.", "openai is overloaded.", error.detail)


def test_errors_form_one_small_tree() -> None:
    assert (ConfigurationError("x").code, ConfigurationError("x").detail) == ("configuration", "x")
    assert "not set up" in ConfigurationError("x").message
    late = DeadlineError("x", "idle_timeout", provider="openai")
    assert isinstance(late, ProviderError)
    assert isinstance(late, EngineError)
    assert (late.status, late.retry_after, late.retryable) == (None, None, False)
