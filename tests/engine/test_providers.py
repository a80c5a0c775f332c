import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from chat.engine import Agent, ConfigurationError, DemoProvider, find_local_model, model_from_environment, run
from chat.engine.providers import provider_for
from chat.engine.providers.anthropic import AnthropicProvider
from chat.engine.providers.gemini import GeminiProvider
from chat.engine.providers.ollama import OllamaProvider
from chat.engine.providers.openai import OpenAIProvider
from chat.engine.providers.vendors import OPENAI_WIRE, VENDORS

from ..support.upstream import Upstream


def provider(model: str, **environ: str) -> OpenAIProvider:
    found = provider_for(model, environ)
    assert isinstance(found, OpenAIProvider)
    return found


def problem(model: str, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        provider_for(model, environ)
    return raised.value.detail


class TestProviderFor:
    def test_a_model_name_may_contain_any_character(self) -> None:
        for model in ("gpt-4o", "qwen3:8b", "meta-llama/Llama:free", "a b", "ä:🌊", ":x"):
            assert provider(f"ollama:{model}").model == model

    @pytest.mark.parametrize("name", [name for name, vendor in OPENAI_WIRE.items() if not vendor.local])
    def test_a_key_and_an_address_come_from_the_environment(self, name: str) -> None:
        key = {f"{name.upper()}_API_KEY": " sk-1234567 \n"}
        assert provider(f"{name}:m", **key).headers() == {"authorization": "Bearer sk-1234567"}
        assert provider(f"{name}:m", **key).url().startswith("https://")
        moved = provider(f"{name}:m", **key, **{f"{name.upper()}_BASE_URL": "http://localhost:9/v2/"})
        assert moved.url() == "http://localhost:9/v2/chat/completions"
        assert f"{name.upper()}_API_KEY" in problem(f"{name}:m")
        assert provider(name, **key).model == OPENAI_WIRE[name].default_model

    @pytest.mark.parametrize("name", ["lmstudio", "vllm", "sglang", "llamacpp"])
    def test_local_vendors_need_no_key_and_no_v1(self, name: str) -> None:
        assert provider(f"{name}:m").headers() == {}
        assert provider(f"{name}:m").url().endswith("/v1/chat/completions")
        moved = provider(f"{name}:m", **{f"{name.upper()}_BASE_URL": "http://box:9/", f"{name.upper()}_API_KEY": "k"})
        assert moved.url() == "http://box:9/v1/chat/completions"
        assert moved.headers() == {"authorization": "Bearer k"}
        assert "Which model" in problem(name)

    def test_ollama_uses_openais_wire_unless_its_address_has_no_v1(self) -> None:
        assert provider("ollama:m").url() == "http://127.0.0.1:11434/v1/chat/completions"
        assert provider("ollama:m", OLLAMA_BASE_URL="http://box:9/v1").url() == "http://box:9/v1/chat/completions"
        for address in ("http://box:9", "http://box:9/", "http://box:9/api"):
            own = provider_for("ollama:qwen3:8b", {"OLLAMA_BASE_URL": address, "OLLAMA_API_KEY": "k"})
            assert isinstance(own, OllamaProvider)
            assert (own.url(), own.model) == ("http://box:9/api/chat", "qwen3:8b")
            assert own.headers() == {"authorization": "Bearer k"}
        assert "Which model" in problem("ollama")

    def test_the_address_of_anthropic_may_have_its_v1(self) -> None:
        for address in ("http://box:9", "http://box:9/v1/"):
            claude = provider_for("anthropic:m", {"ANTHROPIC_API_KEY": "sk-1234567", "ANTHROPIC_BASE_URL": address})
            assert isinstance(claude, AnthropicProvider)
            assert claude.url() == "http://box:9/v1/messages"
            assert claude.headers() == {"x-api-key": "sk-1234567", "anthropic-version": "2023-06-01"}
        assert provider_for("anthropic", {"ANTHROPIC_API_KEY": "k"}).model == VENDORS["anthropic"].default_model

    @pytest.mark.parametrize(("address", "url", "header"), [
        ("", "https://generativelanguage.googleapis.com/v1beta/models/m", "x-goog-api-key"),
        ("http://box:9", "http://box:9/v1beta/models/m", "x-goog-api-key"),
        ("http://box:9/v1beta/", "http://box:9/v1beta/models/m", "x-goog-api-key"),
        ("https://v/v1/publishers/google", "https://v/v1/publishers/google/models/m", "x-goog-api-key"),
        ("https://v/v1/projects/p/locations/l/publishers/google",
         "https://v/v1/projects/p/locations/l/publishers/google/models/m", "authorization"),
    ])  # fmt: skip
    def test_the_address_of_gemini_is_ai_studios_or_vertexs(self, address: str, url: str, header: str) -> None:
        gemini = provider_for("gemini:m", {"GEMINI_API_KEY": "key-1234567", "GEMINI_BASE_URL": address})
        assert isinstance(gemini, GeminiProvider)
        assert gemini.url() == f"{url}:streamGenerateContent?alt=sse"
        assert gemini.headers() == {header: "Bearer key-1234567" if header == "authorization" else "key-1234567"}

    def test_a_model_of_gemini_may_be_a_path(self) -> None:
        tuned = provider_for("gemini:tunedModels/my model", {"GEMINI_API_KEY": "k"})
        assert isinstance(tuned, GeminiProvider)
        assert "/v1beta/tunedModels/my%20model:streamGenerateContent" in tuned.url()

    def test_custom_needs_an_address_and_uses_it_unchanged(self) -> None:
        assert "CUSTOM_BASE_URL" in problem("custom:m")
        assert "CUSTOM_BASE_URL" in problem("custom:m", CUSTOM_BASE_URL="box:9/v1")
        assert provider("custom:m", CUSTOM_BASE_URL="http://box:9").url() == "http://box:9/chat/completions"

    def test_an_invalid_model_string_is_explained(self) -> None:
        assert '"provider:model"' in problem("gpt-4o")
        assert "mistral" in problem("nobody:x")
        assert "ANTHROPIC_API_KEY" in problem("anthropic:claude")
        assert "'nonsense'" in problem("demo:nonsense")

    def test_an_invalid_key_is_explained_and_not_shown(self) -> None:
        message = problem("openai:m", OPENAI_API_KEY="sk-geheim-ä-123456")
        assert "OPENAI_API_KEY" in message
        assert "geheim" not in message
        assert "geheim" not in problem("custom:m", CUSTOM_BASE_URL="https://me:geheim@host/v1")

    def test_a_custom_provider_is_used_unchanged(self) -> None:
        own = DemoProvider(script=[])
        assert provider_for(own) is own

    def test_mistral_gets_no_field_that_it_refuses(self) -> None:
        from chat.engine import Message
        from chat.engine.providers.provider import Request

        request = Request([Message("user", "Hi")])
        assert "stream_options" not in provider("mistral:m", MISTRAL_API_KEY="k").request_body(request)
        assert "stream_options" in provider("groq:m", GROQ_API_KEY="k").request_body(request)


class TestModelFromEnvironment:
    def test_the_first_provider_with_a_key_is_the_default(self) -> None:
        assert model_from_environment({}) is None
        assert model_from_environment({"OPENAI_API_KEY": " "}) is None
        order = [name for name, vendor in VENDORS.items() if vendor.default_model]
        assert order[:3] == ["openai", "anthropic", "gemini"]
        found = model_from_environment({"XAI_API_KEY": "k", "GROQ_API_KEY": "k"})
        assert found == f"groq:{OPENAI_WIRE['groq'].default_model}"

    def test_the_default_models_can_be_used(self) -> None:
        for name, vendor in VENDORS.items():
            environ = {f"{name.upper()}_API_KEY": "sk-1234567"}
            if vendor.default_model:
                model = model_from_environment(environ)
                assert model is not None
                assert provider_for(model, environ).name == name


@contextmanager
def serving(content: Any) -> Iterator[str]:
    """A server that answers GET with `content`; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = content.get(self.path, b"nothing") if isinstance(content, dict) else content
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


NOBODY = "http://127.0.0.1:1"


class TestFindLocalModel:
    def test_the_first_model_of_ollama_is_found(self) -> None:
        tags = {"/api/tags": {"models": [{"name": "nomic-embed-text:latest"}, {"name": "qwen3:8b"}, {"name": "x"}]}}
        with serving(tags) as url:
            for address in (url, f"{url}/v1", f"{url}/v1/"):
                environ = {"OLLAMA_BASE_URL": address, "LMSTUDIO_BASE_URL": NOBODY}
                assert find_local_model(timeout=5, environ=environ) == "ollama:qwen3:8b"

    def test_the_first_model_of_lm_studio_is_found_without_ollama(self) -> None:
        models = {"/v1/models": {"data": [{"id": "text-embedding-nomic"}, {"id": "google/gemma-3"}]}}
        with serving(models) as url:
            environ = {"OLLAMA_BASE_URL": NOBODY, "LMSTUDIO_BASE_URL": f"{url}/v1"}
            assert find_local_model(timeout=5, environ=environ) == "lmstudio:google/gemma-3"

    @pytest.mark.parametrize(
        "content", [b"", b"<html>", [], {}, {"models": 7}, b'{"models": [7, {}, {"name": 1}]}', b"[" * 9999]
    )
    def test_other_servers_on_the_port_are_ignored(self, content: Any) -> None:
        with serving(content) as url:
            assert find_local_model(timeout=5, environ={"OLLAMA_BASE_URL": url, "LMSTUDIO_BASE_URL": url}) is None

    def test_no_server_means_no_model(self) -> None:
        assert find_local_model(environ={"OLLAMA_BASE_URL": NOBODY, "LMSTUDIO_BASE_URL": "http://[::bad"}) is None


def test_a_model_string_reaches_its_server(provider: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_BASE_URL", provider.url.removesuffix("/v1"))
    assert asyncio.run(run(Agent("vllm:words@n=1"), "x")).text == "w0 "
