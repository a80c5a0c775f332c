"""What went wrong at a provider in, the error that says so out. providers/base.py and transport.py call it.

Error bodies come in these shapes (and as HTML, as plain text, and empty):

    {"error": {"message", "type", "param", "code"}}          OpenAI and most others; code may be a number
    {"error": {"message", "code", "metadata": {"raw"}}}      OpenRouter: raw is what the server behind it said
    {"error": {"message", "code", "status", "details"}}      Google; details may hold {"retryDelay": "48s"}
    {"type": "error", "error": {"type", "message"}}          Anthropic
    {"error": "<string>"}, {"error": "<string>", "code"}     Ollama, xAI
    {"detail": "<string>"}, {"detail": [{"loc", "msg"}]}     Mistral, FastAPI
    {"message": "<string>" or {"detail"}, "type", "code"}    vLLM, Mistral
"""

import email.utils
import errno
import re
import time
from collections.abc import Mapping

import aiohttp
import httpx
import msgspec

from ..exceptions import ConfigurationError, DeadlineError, EngineError, ProviderError, mask
from ..limits import Limits

_RETRYABLE = {"rate_limited", "overloaded", "server_error", "unreachable", "connect_timeout"}
_QUOTED = 600  # characters of what a provider says that we pass on


class Failures:
    """Makes the errors of one provider. `key_variable` and `base_url` are named in the advice; `key` is kept out."""

    def __init__(self, name: str, model: str, base_url: str, key_variable: str, key: str) -> None:
        self._name = name
        self._model = model
        self._url = base_url
        self._key_variable = key_variable
        self._key = key

    def status(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """An HTTP status that is not 200."""
        said = _Said.of_body(body)
        retry_after = None
        if status in (429, 503, 529):  # others carry the header too, and mean nothing by it
            retry_after = _retry_after(headers)
            if retry_after is None:
                retry_after = said.retry_after
        if said.html and status < 500:
            return self._error(
                "bad_response",
                f"There is no chat API at {self._url}: it answered {status} with a web page. Check the base URL.",
                status,
            )
        if 300 <= status < 400:
            place = headers.get("location", "elsewhere")
            return self._error(
                "bad_response",
                f"{self._url} redirects to {place}. Set the base URL to where the API is.",
                status,
            )
        return self._said(said, status, retry_after)

    def in_stream(self, error: object) -> ProviderError:
        """An error object, or text, in the middle of a stream that began well."""
        said = _Said(error)
        return self._said(said, said.status, said.retry_after)

    def deadline(self, code: str, limits: Limits) -> DeadlineError:
        seconds, what = {
            "first_token_timeout": (limits.first_token, "sent no first token"),
            "idle_timeout": (limits.idle, "fell silent in the middle of its answer and sent nothing"),
            "total_timeout": (limits.total, "was not done"),
        }[code]
        return self._deadline(code, f"{self._who} {what} within {seconds:g} seconds. Try again.")

    def unreachable(self, error: Exception, limits: Limits) -> EngineError:
        """No answer to a request: what httpx or aiohttp raised instead. httpx_aiohttp gives nearly everything the name
        ConnectTimeout, so it is aiohttp's own exception, the cause, that counts."""
        cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__ or error
        where = f"{self._name} at {self._url}"
        match cause:
            case aiohttp.ServerTimeoutError():
                return self._deadline(
                    "connect_timeout",
                    f"No connection to {where} within {limits.connect:g} seconds. Try again.",
                )
            case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | httpx.InvalidURL():
                return ConfigurationError(f"{self._url!r} is no address of an HTTP API. Correct the base URL.")
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
                advice = "The secure connection failed; check the address, the certificate, and SSL_CERT_FILE."
            case aiohttp.ClientConnectorDNSError():
                advice = "The host name is unknown; check the base URL and the network."
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
                advice = "The proxy that the environment names did not let it through."
            case aiohttp.ClientConnectorError() if cause.os_error.errno == errno.ECONNREFUSED:
                advice = "It refuses connections; is it running, and is the base URL right?"
            case aiohttp.ClientConnectorError():
                advice = f"The network says: {cause.os_error.strerror or cause.os_error}."
            case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
                advice = "It closed the connection without an answer. Try again."
            case aiohttp.ClientResponseError():
                what = cause.message.partition("\n")[0].rstrip(":")
                return self._error("bad_response", f"{where} does not speak HTTP as it should: {what}.")
            case _:
                advice = f"The network says: {cause}."
        return self._error("unreachable", f"No connection to {where}. {advice}")

    def cut(self) -> ProviderError:
        return self._error("stream_cut", f"{self._who} broke off in the middle of its answer. Try again.")

    def not_its_wire(self, what: str) -> ProviderError:
        """`what` completes "it sent": "a web page"."""
        return self._error(
            "bad_response",
            f"{self._who} did not answer as it should: it sent {what}. Is the base URL {self._url} right?",
            200,
        )

    def masked(self, text: str) -> str:
        return mask(text, self._key)

    def _said(self, said: "_Said", status: int | None, retry_after: float | None) -> ProviderError:
        code = _code(status, said)
        quote = self.masked(said.message)
        quote = quote[:_QUOTED] + "…" if len(quote) > _QUOTED else quote
        if not quote:
            quote = f"status {status} and no explanation" if status else "no explanation"
        quote = quote if quote[-1] in ".!?…" else quote + "."
        name = self._name
        place = f" Is the base URL {self._url} right?" if status in (404, 405) else ""
        out_of_money = said.has("insufficient_quota")
        wait = f" Try again in {retry_after:g} s." if retry_after else " Try again a little later."
        wait = " Look at the account's plan and billing." if out_of_money else wait
        message = {
            "authentication": f"{name} refused the key: {quote} Check {self._key_variable}.",
            "model_not_found": f"{name} does not know the model {self._model!r}: {quote} Check its name.",
            "rate_limited": f"{name} asks to wait: {quote}{wait}",
            "overloaded": f"{name} is overloaded: {quote}{wait}",
            "context_length": f"The messages are too long for {self._model}: {quote} Start a new chat, or choose a "
            "model with a larger context.",
            "bad_request": f"{name} refused the request: {quote}{place}",
            "server_error": f"{name} failed: {quote} Try again.",
        }[code]
        return self._error(code, message, status, retry_after, retryable=not out_of_money)

    def _error(
        self,
        code: str,
        message: str,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        retryable: bool = True,
    ) -> ProviderError:
        return ProviderError(
            self.masked(message),
            code,
            provider=self._name,
            status=status,
            retry_after=retry_after,
            retryable=retryable and code in _RETRYABLE,
        )

    def _deadline(self, code: str, message: str) -> DeadlineError:
        return DeadlineError(message, code, provider=self._name, retryable=code in _RETRYABLE)

    @property
    def _who(self) -> str:
        return f"{self._name}:{self._model}"


class _Said:
    """What an error says, whatever its shape: `message` for people, `words` for `_code`; a status and a time to wait
    where it names them."""

    def __init__(self, error: object) -> None:
        self.html = False
        self.status: int | None = None
        self.retry_after: float | None = None
        if isinstance(error, list) and error:
            error = error[0]
        if isinstance(error, str):
            self._text(error.strip())
        else:
            self._json(error)
        self.words += f" {self.message.lower()}"

    @classmethod
    def of_body(cls, body: bytes) -> "_Said":
        """Content types lie (DeepSeek's JSON is an octet-stream), so look at the bytes."""
        try:
            return cls(msgspec.json.decode(body))
        except (ValueError, RecursionError):
            return cls(body.decode("utf-8", "replace"))

    def has(self, *words: str) -> bool:
        return any(word in self.words for word in words)

    def _text(self, text: str) -> None:
        self.words = ""
        self.html = text.startswith("<")
        title = re.search(r"<title>([^<]*)</title>", text, re.IGNORECASE) if self.html else None
        self.message = title[1].strip() if title else "" if self.html else text

    def _json(self, error: object) -> None:
        self.message = _sentence(error)
        outer = error if isinstance(error, dict) else {}
        inner = outer["error"] if isinstance(outer.get("error"), dict) else outer
        fields = (inner.get("code"), inner.get("type"), inner.get("status"), outer.get("code"))
        self.words = " ".join(str(field).lower() for field in fields if field)
        for number in (inner.get("status_code"), inner.get("code"), inner.get("status")):
            if str(number).isdigit() and 400 <= int(str(number)) < 600:
                self.status = int(str(number))
                break
        metadata = inner.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
            self.message += f" ({metadata['raw'].strip()})"
        details = inner.get("details")
        for detail in details if isinstance(details, list) else ():
            delay = detail.get("retryDelay") if isinstance(detail, dict) else None
            if isinstance(delay, str):
                self.retry_after = _seconds(delay.removesuffix("s"))


def _sentence(value: object, depth: int = 0) -> str:
    """The text for people that is somewhere in an error."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(filter(None, (_sentence(item, depth + 1) for item in value[:5])))
    if isinstance(value, dict) and depth < 4:
        for key in ("message", "error", "detail", "msg"):
            if text := _sentence(value.get(key), depth + 1):
                place = value.get("loc")
                return f"{'.'.join(map(str, place))}: {text}" if isinstance(place, list) else text
    return ""


def _code(status: int | None, said: _Said) -> str:
    """One of docs/protocol.md's. The status decides where it is clear; where vendors use 400 for everything, or where
    there is none, their words do."""
    if status == 429 or said.has("insufficient_quota"):
        return "rate_limited"
    if status in (401, 403):
        return "authentication"
    if status in (503, 529):
        return "overloaded"
    if status == 413 or _TOO_LONG.search(said.words):
        return "context_length"
    if _KEY.search(said.words):
        return "authentication"
    if _MODEL.search(said.words) or (status == 404 and said.has("model", "deployment")):
        return "model_not_found"
    if status is None and said.has("rate_limit", "rate limit", "too many requests", "resource_exhausted"):
        return "rate_limited"
    if (status is None or status >= 500) and said.has("overload", "unavailable", "at capacity"):
        return "overloaded"
    if status is None:
        return "bad_request" if said.has("invalid_request") else "server_error"
    return "bad_request" if status < 500 and status not in (408, 499) else "server_error"


_TOO_LONG = re.compile(
    r"context_length|context length|context window|context limit|exceed_context|available context size"
    r"|too_many_prompt_tokens|(prompt|input|messages?|request) (is|are) too (long|large)|prompt too long"
)
_KEY = re.compile(
    r"(incorrect|invalid|missing|wrong|no|expired)[ _](api[ _-]?key|authentication)|authentication_error"
    r"|api[ _-]?key[ _](is |was )?(not valid|invalid|missing|expired|not found)|unauthorized|unauthenticated"
)
_MODEL = re.compile(
    r"model_not_found|deploymentnotfound|invalid[ _]model|unknown model|not a valid model|model not exist"
    r"|model .{0,100}(does not exist|not found|is not available)"
)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds. Azure sends `retry-after-ms: 0` beside `retry-after: 1`: the milliseconds count where they say
    something. RFC 9110, 10.2.3 allows a date too."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _seconds(value)
    if seconds is None and value:
        try:
            seconds = max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            return None
    return seconds


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e9 else None
