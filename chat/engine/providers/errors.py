"""Makes the errors of one provider. Each has a message for readers, without internals, and a detail for staff.

Error bodies come in these shapes, and as HTML, as plain text, and empty:

    {"error": {"message", "type", "param", "code"}}          OpenAI and most others; code may be a number
    {"error": {"message", "code", "metadata": {"raw"}}}      OpenRouter: raw comes from the server behind it
    {"error": {"message", "code", "status", "details"}}      Google; details may hold {"retryDelay": "48s"}
    {"type": "error", "error": {"type", "message"}}          Anthropic
    {"error": "<string>"}, {"error": "<string>", "code"}     Ollama, xAI
    {"detail": "<string>"}, {"detail": [{"loc", "msg"}]}     Mistral, FastAPI
    {"message": "<string>" or {"detail"}, "type", "code"}    vLLM, Mistral
    {"base_resp": {"status_code", "status_msg"}}             MiniMax
    {"error_code", "error_msg"}, {"code", "msg"}             Baidu, many proxies
    {"success": false, "errors": [{"code", "message"}]}      Cloudflare
    any of these in a server-sent event
"""

import email.utils
import errno
import re
import time
from collections.abc import Mapping
from contextlib import suppress

import aiohttp
import httpx
import msgspec

from ..exceptions import NOT_SET_UP, TOO_LARGE, ConfigurationError, DeadlineError, EngineError, ProviderError, mask
from ..i18n import Translatable, _
from ..limits import Limits
from ..sse import ServerSentEvent, SSEDecoder
from .lenient_json import STRAY

_RETRYABLE = {"rate_limited", "overloaded", "server_error", "unreachable", "connect_timeout", "empty_answer"}
_LONGEST_WAIT = 7 * 24 * 3600  # seconds; a Retry-After beyond it is a mistake
_MAX_QUOTE = 600  # characters of a provider's own words in a detail
_MAX_WORDS = 64 * 1024  # characters of an error in which to look for what it is about
_STATUS = re.compile("[45][0-9]{2}")


def reader_message(code: str, retry_after: float | None = None) -> Translatable:
    """What readers see for an error code of a provider. `retry_after` is in seconds."""
    if code in ("rate_limited", "overloaded") and retry_after:
        return _("The model is busy.")  # when to try again is told in `retry_after`
    return _MESSAGES[code]


_MESSAGES = {
    "authentication": NOT_SET_UP,
    "model_not_found": NOT_SET_UP,
    "rate_limited": _("The model is busy. Try again a little later."),
    "overloaded": _("The model is busy. Try again a little later."),
    "context_length": _("This conversation is too long for the model. Start a new one."),
    "bad_request": _("The model did not accept this request. The site's administrator can see why."),
    "bad_response": _("The model's answer could not be read. The site's administrator can see why."),
    "server_error": _("The model had a problem. Try again."),
    "unreachable": _("The model could not be reached. Try again."),
    "connect_timeout": _("The model could not be reached. Try again."),
    "empty_answer": _("The model gave no answer. Try again."),
    "stream_cut": _("The answer broke off. Try again."),
    "answer_too_large": TOO_LARGE,
}


class ProviderErrors:
    """The error factory of one provider. The details name `key_variable` and `base_url`; `key` is masked in them."""

    def __init__(self, name: str, model: str, base_url: str, key_variable: str, key: str) -> None:
        self._name = name
        self._model = model
        self._url = base_url
        self._key_variable = key_variable
        self._key = key

    def status(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """A response with an HTTP status other than 2xx."""
        parsed = _ErrorBody.parse(body)
        retry_after = None
        if status in (429, 503, 529):  # the header means nothing with other statuses
            retry_after = _retry_after(headers)
            if retry_after is None:
                retry_after = parsed.retry_after
        if parsed.is_html and status < 500:
            detail = f"There is no chat API at {self._url}: it answered {status} with a web page. Check the base URL."
            return self._error("bad_response", detail, status)
        if 300 <= status < 400:
            location = headers.get("location", "another address")
            detail = f"{self._url} redirects to {location}. Set the base URL to the address of the API."
            return self._error("bad_response", detail, status)
        return self._reported(parsed, status, retry_after)

    def in_stream(self, error: object) -> ProviderError:
        """An error object or text that the server sent in the middle of a stream."""
        parsed = _ErrorBody(error)
        return self._reported(parsed, parsed.status, parsed.retry_after)

    def deadline(self, code: str, limits: Limits) -> DeadlineError:
        seconds = {
            "first_token_timeout": f"{limits.first_token:g}",
            "idle_timeout": f"{limits.idle:g}",
            "total_timeout": f"{limits.total:g}",
        }[code]
        message, event = {
            "first_token_timeout": (
                _("The model did not start answering within %(seconds)s seconds. Try again.", seconds=seconds),
                "sent no first token",
            ),
            "idle_timeout": (
                _("The answer broke off: nothing came for %(seconds)s seconds. Try again.", seconds=seconds),
                "stopped in the middle of its answer and sent nothing",
            ),
            "total_timeout": (
                _("The answer was not finished within %(seconds)s seconds. Try again.", seconds=seconds),
                "did not finish its answer",
            ),
        }[code]
        return self._deadline(code, message, f"{self._model_name} {event} within {seconds} seconds.")

    def unreachable(self, error: Exception, limits: Limits) -> EngineError:
        """A request without a response: `error` is the exception of httpx or aiohttp.

        httpx_aiohttp calls nearly all of them ConnectTimeout, so the cause, aiohttp's own exception, decides.
        """
        cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__ or error
        server = f"{self._name} at {self._url}"
        match cause:
            case aiohttp.ServerTimeoutError():
                detail = f"No connection to {server} within {limits.connect:g} seconds."
                return self._deadline("connect_timeout", _MESSAGES["connect_timeout"], detail)
            case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | httpx.InvalidURL():
                return ConfigurationError(f"{self._url!r} is not the address of an HTTP API. Correct the base URL.")
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
                advice = "The secure connection failed; check the address, the certificate, and SSL_CERT_FILE."
            case aiohttp.ClientConnectorDNSError():
                advice = "The host name is unknown; check the base URL and the network."
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
                advice = "The proxy named in the environment refused the connection."
            case aiohttp.ClientConnectorError() if cause.os_error.errno == errno.ECONNREFUSED:
                advice = "It refuses connections; is it running, and is the base URL right?"
            case aiohttp.ClientConnectorError():
                advice = f"{cause.os_error.strerror or cause.os_error}."
            case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
                advice = "It closed the connection without an answer."
            case aiohttp.ClientResponseError():
                problem = cause.message.partition("\n")[0].rstrip(":")
                return self._error("bad_response", f"{server} does not speak valid HTTP: {problem}.")
            case _:
                advice = f"{cause}."
        return self._error("unreachable", f"No connection to {server}. {advice}")

    def cut_off(self) -> ProviderError:
        """The connection ended before the answer did."""
        return self._error("stream_cut", f"{self._model_name} broke off in the middle of its answer.")

    def too_large(self, what: str) -> ProviderError:
        """`what` completes the phrase "it sent", such as "an event of more than 1,000 bytes"."""
        return self._error("answer_too_large", f"{self._model_name} sent {what}.")

    def bad_response(self, found: str) -> ProviderError:
        """A response with status 200 that is not in the provider's format. `found` completes the phrase "it sent"."""
        detail = f"{self._model_name} did not answer in its format: it sent {found}. Is the base URL {self._url} right?"
        return self._error("bad_response", detail, 200)

    def failed_end(self, reason: str) -> ProviderError:
        """The answer ended, and its finish reason says that the server could not go on."""
        return self._error("server_error", f"{self._model_name} ended its answer with {self._quote(reason, None)}")

    def empty(self, reason: str | None) -> ProviderError:
        """A complete answer without a text, a tool call or a refusal."""
        ending = f" Its finish reason was {reason}." if reason else ""
        return self._error("empty_answer", f"{self._model_name} ended its answer without a word.{ending}")

    def mask(self, text: str) -> str:
        return mask(text, self._key)

    def _reported(self, parsed: "_ErrorBody", status: int | None, retry_after: float | None) -> ProviderError:
        """An error that the provider reported in its own words."""
        code = _code(status, parsed)
        quote = self._quote(parsed.message, status)
        detail = {
            "authentication": f"{self._name} refused the key: {quote} Check {self._key_variable}.",
            "model_not_found": f"{self._name} does not know the model '{self._model}': {quote} Check its name.",
            "rate_limited": f"{self._name} asks to wait: {quote}",
            "overloaded": f"{self._name} is overloaded: {quote}",
            "context_length": f"The messages are too long for {self._model}: {quote}",
            "bad_request": f"{self._name} refused the request: {quote}",
            "server_error": f"{self._name} failed: {quote}",
        }[code]
        if code == "bad_request" and status in (404, 405):
            detail += f" Is the base URL {self._url} right?"
        if parsed.contains("insufficient_quota"):  # the account has no money left: waiting does not help
            detail += " Check the account's plan and billing."
            return self._error(code, detail, status, retry_after, message=NOT_SET_UP, retryable=False)
        return self._error(code, detail, status, retry_after)

    def _quote(self, words: str, status: int | None) -> str:
        quote = self.mask(words)
        if len(quote) > _MAX_QUOTE:
            return quote[:_MAX_QUOTE] + "…"
        if quote:
            return quote if quote[-1] in ".!?…" else quote + "."
        return f"status {status} and no explanation." if status else "no explanation."

    def _error(
        self,
        code: str,
        detail: str,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        message: Translatable | None = None,
        retryable: bool = True,
    ) -> ProviderError:
        return ProviderError(
            message or reader_message(code, retry_after),
            code,
            provider=self._name,
            status=status,
            retry_after=retry_after,
            retryable=retryable and code in _RETRYABLE,
            detail=self.mask(detail),
        )

    def _deadline(self, code: str, message: Translatable, detail: str) -> DeadlineError:
        detail = self.mask(detail)
        return DeadlineError(message, code, provider=self._name, retryable=code in _RETRYABLE, detail=detail)

    @property
    def _model_name(self) -> str:
        return f"{self._name}:{self._model}"


class _ErrorBody:
    """An error body of any shape. `message` is its text for people, `words` is what `_code` searches; `status` and
    `retry_after` (seconds) are None unless the body names them."""

    def __init__(self, error: object) -> None:
        self.is_html = False
        self.words = self.message = ""
        self.status: int | None = None
        self.retry_after: float | None = None
        if isinstance(error, list) and error:
            error = error[0]
        if isinstance(error, str):
            self._read_text(error.strip())
        else:
            self._read_json(error)
        self.words = f"{self.words} {self.message.lower()}"[:_MAX_WORDS]

    @classmethod
    def parse(cls, body: bytes) -> "_ErrorBody":
        """The content type cannot be trusted (DeepSeek sends JSON as an octet-stream), so the bytes decide."""
        with suppress(ValueError, RecursionError):
            return cls(msgspec.json.decode(body.strip(STRAY)))
        text = body
        for name, data in _events(body):
            with suppress(ValueError, RecursionError):
                parsed = cls(msgspec.json.decode(data))
                if parsed.message:
                    return parsed
            text = data if name else text
        return cls(text.decode("utf-8", "replace"))

    def contains(self, *words: str) -> bool:
        return any(word in self.words for word in words)

    def _read_text(self, text: str) -> None:
        self.is_html = text.startswith("<")
        title = re.search(r"<title>([^<]*)</title>", text, re.IGNORECASE) if self.is_html else None
        self.message = title[1].strip() if title else "" if self.is_html else text

    def _read_json(self, error: object) -> None:
        self.message = find_message(error)
        outer = error if isinstance(error, dict) else {}
        inner = outer["error"] if isinstance(outer.get("error"), dict) else outer
        fields = (inner.get("code"), inner.get("type"), inner.get("status"), outer.get("code"))
        self.words = " ".join(str(field).lower() for field in fields if field)
        for number in (inner.get("status_code"), inner.get("code"), inner.get("status")):
            if _STATUS.fullmatch(str(number)):
                self.status = int(str(number))
                break
        metadata = inner.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
            self.message += f" ({metadata['raw'].strip()})"
        details = inner.get("details")
        for detail in details if isinstance(details, list) else ():
            delay = detail.get("retryDelay") if isinstance(detail, dict) else None
            if isinstance(delay, str):
                self.retry_after = _plausible(_seconds(delay.removesuffix("s")))


def _events(body: bytes) -> list[ServerSentEvent]:
    """The events of a body of server-sent events. Some servers answer in that form with every status."""
    decoder = SSEDecoder()
    return [*decoder.decode(body), *decoder.flush()]


_MESSAGE_KEYS = ("message", "error", "detail", "msg", "base_resp", "status_msg", "error_msg", "errors", "errorMessage",
                 "error_description", "Message", "Error", "reason", "fault", "faultstring")  # fmt: skip


_MAX_DEPTH = 8


def find_message(value: object, depth: int = 0) -> str:
    """The text for people somewhere inside an error; "" if there is none."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{") and depth < _MAX_DEPTH:  # a server behind the server said this
            with suppress(ValueError, RecursionError):
                return find_message(msgspec.json.decode(text), depth + 1) or text
        return text
    if isinstance(value, list):
        return "; ".join(filter(None, (find_message(item, depth + 1) for item in value[:5])))
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for key in _MESSAGE_KEYS:
            if text := find_message(value.get(key), depth + 1):
                location = value.get("loc")
                return f"{'.'.join(map(str, location))}: {text}" if isinstance(location, list) else text
    return ""


def _code(status: int | None, error: _ErrorBody) -> str:
    """One of the codes of docs/protocol.md. The status decides if it is clear. Some vendors use 400 for everything, and
    errors in a stream have no status: then the words decide."""
    if status == 429 or error.contains("insufficient_quota"):
        return "rate_limited"
    if status in (401, 403):
        return "authentication"
    if status in (503, 529):
        return "overloaded"
    if status == 413 or _TOO_LONG.search(error.words):
        return "context_length"
    if _KEY.search(error.words):
        return "authentication"
    if _MODEL.search(error.words) or (status == 404 and error.contains("model", "deployment")):
        return "model_not_found"
    if status is None and error.contains("rate_limit", "rate limit", "too many requests", "resource_exhausted"):
        return "rate_limited"
    if (status is None or status >= 500) and error.contains("overload", "unavailable", "at capacity"):
        return "overloaded"
    if status is None:
        return "bad_request" if error.contains("invalid_request") else "server_error"
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
    """Seconds. Azure sends `retry-after-ms: 0` together with `retry-after: 1`, so 0 milliseconds are ignored. The value
    of `retry-after` may also be a date (RFC 9110, section 10.2.3)."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _seconds(value)
    if seconds is None and value:
        try:
            seconds = max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, OverflowError):  # OverflowError: a date or an offset that no calendar has
            return None
    return _plausible(seconds)


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e9 else None


def _plausible(seconds: float | None) -> float | None:
    return seconds if seconds is not None and seconds <= _LONGEST_WAIT else None
