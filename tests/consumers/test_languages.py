"""Languages: one user gets messages in their own language, everybody together in the site's."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from chat import i18n, store
from chat.engine import EngineError, Limits
from chat.engine.providers.errors import ProviderErrors
from chat.models import Conversation, Run, Spending
from chat.node import heartbeat, node
from chat.protocol import objects
from chat.protocol.errors import Refused

from ..support.client import InProcess, signed_in
from ..support.store_helpers import HOST, begin, post, reap

GERMAN, ENGLISH = "language=de", "language=en"
NO_TEXT = {GERMAN: "Eine Nachricht darf nicht leer sein.", ENGLISH: "A message can't be empty."}
NO_RUN = {
    GERMAN: "Diese Antwort gibt es in diesem Gespräch nicht.",
    ENGLISH: "This answer is not in the conversation.",
}
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
Scenario = Callable[..., Any]


@pytest.mark.parametrize(
    ("query", "language"),
    [
        (b"language=de", "de"),
        (b"x=1&language=de-AT", "de"),
        (b"language=en", "en"),
        (b"", "en"),
        (b"language=", "en"),
        (b"language=tlh", "en"),
        (b"language=%00../../de", "en"),
        (b"language=%ff\xff", "en"),
        (b"language=" + b"de-" * 400, "de"),
        (b"language=" + b"x" * 4000, "en"),
    ],
)
def test_the_query_string_names_a_sockets_language_and_is_never_an_error(query: bytes, language: str) -> None:
    assert i18n.language_of(query) == language


def test_each_socket_of_a_process_is_refused_in_its_own_language(
    scenario: Scenario, people: Any, room: Conversation
) -> None:
    async def ask(peer: InProcess, query: str, number: int) -> None:
        """Send commands that run in a task of their own, and one that does not."""
        await peer.say("", ref=f"say {number}")
        await peer.send("run.stop", run=UNKNOWN_ID, ref=f"stop {number}")
        await peer.send("run.sync", run=UNKNOWN_ID, ref=f"sync {number}")
        assert (await peer.answered(f"say {number}"))["message"] == NO_TEXT[query]
        assert (await peer.answered(f"stop {number}"))["message"] == NO_RUN[query]
        assert (await peer.answered(f"sync {number}"))["message"] == NO_RUN[query]

    async def talk() -> None:
        german, english = InProcess(people["ada"], room.pk, GERMAN), InProcess(people["bob"], room.pk, ENGLISH)
        async with german, english:
            for number in range(5):
                await asyncio.gather(ask(german, GERMAN, number), ask(english, ENGLISH, number))

    scenario(talk)


def test_each_socket_gets_notices_and_closing_reasons_in_its_language(
    scenario: Scenario, people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "TICK", 3600)  # the next tick would say that the layer is back

    async def talk() -> None:
        peers = {query: InProcess(people["ada"], room.pk, query) for query in (GERMAN, "")}
        async with peers[GERMAN], peers[""]:
            node.current().outages.report_layer(0, away=True)
            assert "Neue Nachrichten" in (await peers[GERMAN].hear("notice"))["message"]
            assert "New messages" in (await peers[""].hear("notice"))["message"]
            late = InProcess(people["bob"], room.pk, GERMAN)
            async with late:
                assert "Neue Nachrichten" in (await late.hear("notice"))["message"]
            await node.current().drain(0)
            assert (await peers[GERMAN].hear("closing"))["reason"] == "Der Server startet neu."
            assert (await peers[""].hear("closing"))["reason"] == "The server is restarting."

    scenario(talk)


def test_http_refusals_are_in_the_language_of_the_request(client: Client, people: Any, room: Conversation) -> None:
    client.force_login(people["ada"])
    url = reverse("nous_chat:api-participants", args=[room.pk])
    for language, message in (("de", "Es gibt keinen Benutzer mit diesem Namen."), ("en", "No user with that name.")):
        headers = {"Accept-Language": language}
        refused = client.post(url, {"username": "nobody"}, content_type="application/json", headers=headers)
        assert (refused.status_code, refused.json()["message"]) == (404, message)
    unsigned = Client(headers={"Accept-Language": "de"}).get(url)
    assert unsigned.json()["message"] == "Melden Sie sich zuerst an."


def test_errors_about_fields_and_frames_are_in_english(scenario: Scenario, people: Any, room: Conversation) -> None:
    async def talk() -> None:
        async with InProcess(people["ada"], room.pk, GERMAN) as peer:
            await peer.send("no.such", ref="1")
            assert (await peer.answered("1"))["message"].startswith("Unknown command")
            await peer.send("read", ref="2", seq="x")
            assert "Expected `int`" in (await peer.answered("2"))["message"]

    scenario(talk)


def test_the_refusal_of_an_exhausted_budget_formats_numbers_by_language(
    people: Any, room: Conversation, settings: Any
) -> None:
    day = timezone.localdate(timezone=timezone.get_default_timezone())
    for date in (day, day + timedelta(days=1)):  # midnight may pass during the test
        Spending.objects.create(user=people["ada"], conversation=room, day=date, tokens=2000, cost=1, runs=1)
    settings.NOUS_CHAT = {**settings.NOUS_CHAT, "BUDGETS": [{"per": "user", "tokens": 2000, "cost": "12.50"}]}
    refusals = {}
    for language in ("de", "en"):
        with translation.override(language), pytest.raises(Refused) as caught:
            post(people["ada"], room)
        refusals[language] = str(caught.value)
    assert refusals["de"].startswith(
        "Ihr Budget für heute ist aufgebraucht: 2.000 Tokens und Kosten von 12,50. Sie können ab dem"
    )
    assert refusals["en"].startswith("Your budget for today is used up: 2,000 tokens and a cost of 12.50. You can ask")


def test_stored_messages_are_in_the_sites_language(people: Any, room: Conversation) -> None:
    with translation.override("de"):
        assert objects.Failure.from_code("abandoned").message == "Everyone had left the conversation."
        begin(people["ada"], room)
        Run.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
        (reaped,) = reap()
    assert reaped.run.error is not None
    assert reaped.run.error.message.startswith("The server restarted during this answer.")


def test_the_reason_for_ending_a_run_at_its_budget_is_in_the_sites_language(
    people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {**settings.NOUS_CHAT, "BUDGETS": [{"per": "user", "tokens": 2000}]}
    with translation.override("de"):
        run_id = post(people["ada"], room).start
        assert run_id is not None
        started = store.start_run(run_id, HOST)
    assert started is not None
    assert started.remaining[0].failure.message.startswith("Your budget for today is used up: 2,000 tokens.")


def test_a_german_site_stores_messages_in_german_and_defaults_to_it(
    people: Any, room: Conversation, settings: Any
) -> None:
    settings.LANGUAGE_CODE = "de"
    with translation.override("en"):
        assert objects.Failure.from_code("abandoned").message == "Alle hatten das Gespräch verlassen."
    assert i18n.language_of(b"") == "de"


def test_sockets_of_a_running_site_use_their_own_language(start_site: Callable[..., Any]) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=3")

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation, query=f"?{GERMAN}") as german, ada.socket(conversation) as other:
                for number in range(3):
                    await german.say("", ref=f"{number}")
                    await other.say("", ref=f"{number}")
                    assert (await german.answered(f"{number}"))["message"] == NO_TEXT[GERMAN]
                    assert (await other.answered(f"{number}"))["message"] == NO_TEXT[ENGLISH]

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("behaviour", "template", "detail"),
    [
        (
            "status@code=429,retry_after=1",
            "The model is busy.",
            "custom asks to wait",
        ),
        (
            "page",
            "The model's answer could not be read. The site's administrator can see why.",
            "it sent a web page.",
        ),
        (
            "silent",
            "The model did not start answering within %(seconds)s seconds. Try again.",
            "custom:silent sent no first token",
        ),
        ("cut@n=3", "The answer broke off. Try again.", "custom:cut@n=3 broke off"),
    ],
)
def test_readers_get_the_reason_in_their_language_and_staff_get_the_details(
    scenario: Scenario,
    people: Any,
    room: Conversation,
    model: Callable[..., None],
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    behaviour: str,
    template: str,
    detail: str,
) -> None:
    settings.LANGUAGE_CODE = "de"
    model(behaviour, FIRST_TOKEN_TIMEOUT=1)
    with translation.override("de"):
        german = translation.gettext(template) % {"seconds": "1"}
    assert german != template % {"seconds": "1"}, "there is no translation"

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk, ENGLISH) as peer:
            await peer.say("Hello")
            error = (await peer.hear("run.finished"))["error"]
            assert error["message"] == german
            assert "custom" not in str(error), "what the provider said is for staff"

    scenario(talk)
    run = Run.objects.get()
    assert run.error_message == german
    assert detail in run.error_detail
    assert detail in caplog.text
    assert german not in caplog.text


def test_an_api_key_appears_in_no_language() -> None:
    key = "secret-0123456789"
    errors = ProviderErrors("custom", "m", f"https://host/v1?key={key}", "CUSTOM_API_KEY", key)
    failures = [
        errors.status(302, {"location": f"https://there/?k={key}"}, b""),
        errors.status(401, {}, f'{{"error": {{"message": "no key {key}"}}}}'.encode()),
        errors.deadline("idle_timeout", Limits()),
        errors.unreachable(OSError(f"no way to {key}"), Limits()),
    ]
    for failure in failures:
        assert key not in failure.detail + failure.translated(i18n.in_site_language)
    assert all("***" in failure.detail for failure in (failures[0], failures[1], failures[3]))


def test_an_error_of_a_custom_agent_is_not_translated() -> None:
    sentence = "Das 100% genaue Modell schläft."
    assert EngineError(sentence).translated(i18n.in_site_language) == sentence
