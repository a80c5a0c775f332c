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
from dataclasses import replace

import aiohttp
import httpx
import msgspec

from ..exceptions import ConfigurationError, DeadlineError, EngineError, ProviderError, mask
from ..i18n import Sentence, _
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
                _(
                    "There is no chat API at %(url)s: it answered %(status)s with a web page. Check the base URL.",
                    url=self._url,
                    status=str(status),
                ),
                status,
            )
        if 300 <= status < 400:
            place = headers.get("location", "elsewhere")
            return self._error(
                "bad_response",
                _(
                    "%(url)s redirects to %(place)s. Set the base URL to where the API is.",
                    url=self._url,
                    place=place,
                ),
                status,
            )
        return self._said(said, status, retry_after)

    def in_stream(self, error: object) -> ProviderError:
        """An error object, or text, in the middle of a stream that began well."""
        said = _Said(error)
        return self._said(said, said.status, said.retry_after)

    def deadline(self, code: str, limits: Limits) -> DeadlineError:
        who = self._who
        sentence = {
            "first_token_timeout": _(
                "%(who)s sent no first token within %(seconds)s seconds. Try again.",
                who=who,
                seconds=f"{limits.first_token:g}",
            ),
            "idle_timeout": _(
                "%(who)s fell silent in the middle of its answer and sent nothing within %(seconds)s seconds. "
                "Try again.",
                who=who,
                seconds=f"{limits.idle:g}",
            ),
            "total_timeout": _(
                "%(who)s was not done within %(seconds)s seconds. Try again.", who=who, seconds=f"{limits.total:g}"
            ),
        }[code]
        return self._deadline(code, sentence)

    def unreachable(self, error: Exception, limits: Limits) -> EngineError:
        """No answer to a request: what httpx or aiohttp raised instead. httpx_aiohttp gives nearly everything the name
        ConnectTimeout, so it is aiohttp's own exception, the cause, that counts."""
        cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__ or error
        where = _("%(name)s at %(url)s", name=self._name, url=self._url)
        match cause:
            case aiohttp.ServerTimeoutError():
                return self._deadline(
                    "connect_timeout",
                    _(
                        "No connection to %(where)s within %(seconds)s seconds. Try again.",
                        where=where,
                        seconds=f"{limits.connect:g}",
                    ),
                )
            case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | httpx.InvalidURL():
                return ConfigurationError(f"{self._url!r} is no address of an HTTP API. Correct the base URL.")
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
                advice = _("The secure connection failed; check the address, the certificate, and SSL_CERT_FILE.")
            case aiohttp.ClientConnectorDNSError():
                advice = _("The host name is unknown; check the base URL and the network.")
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
                advice = _("The proxy that the environment names did not let it through.")
            case aiohttp.ClientConnectorError() if cause.os_error.errno == errno.ECONNREFUSED:
                advice = _("It refuses connections; is it running, and is the base URL right?")
            case aiohttp.ClientConnectorError():
                said = cause.os_error.strerror or str(cause.os_error)
                advice = _("The network says: %(said)s.", said=said)
            case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
                advice = _("It closed the connection without an answer. Try again.")
            case aiohttp.ClientResponseError():
                what = cause.message.partition("\n")[0].rstrip(":")
                sentence = _("%(where)s does not speak HTTP as it should: %(what)s.", where=where, what=what)
                return self._error("bad_response", sentence)
            case _:
                advice = _("The network says: %(said)s.", said=str(cause))
        sentence = _("No connection to %(where)s. %(advice)s", where=where, advice=advice)
        return self._error("unreachable", sentence)

    def cut(self) -> ProviderError:
        sentence = _("%(who)s broke off in the middle of its answer. Try again.", who=self._who)
        return self._error("stream_cut", sentence)

    def not_its_wire(self, what: Sentence) -> ProviderError:
        """`what` completes "it sent": "a web page"."""
        return self._error(
            "bad_response",
            _(
                "%(who)s did not answer as it should: it sent %(what)s. Is the base URL %(url)s right?",
                who=self._who,
                what=what,
                url=self._url,
            ),
            200,
        )

    def masked(self, text: str) -> str:
        return mask(text, self._key)

    def _said(self, said: "_Said", status: int | None, retry_after: float | None) -> ProviderError:
        code = _code(status, said)
        quote = self.masked(said.message)
        quote = quote[:_QUOTED] + "…" if len(quote) > _QUOTED else quote
        out_of_money = said.has("insufficient_quota")
        values: dict[str, str | Sentence] = {
            "name": self._name,
            "model": self._model,
            "key": self._key_variable,
            "url": self._url,
            "quote": self._quoted(quote, status),
            "wait": _wait(retry_after, out_of_money),
        }
        sentence = _SENTENCES["wrong_address" if code == "bad_request" and status in (404, 405) else code]
        return self._error(code, replace(sentence, values=values), status, retry_after, retryable=not out_of_money)

    def _quoted(self, quote: str, status: int | None) -> str | Sentence:
        if quote:
            return quote if quote[-1] in ".!?…" else quote + "."
        if status:
            return _("status %(status)s and no explanation.", status=str(status))
        return _("no explanation.")

    def _error(
        self,
        code: str,
        sentence: Sentence,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        retryable: bool = True,
    ) -> ProviderError:
        return ProviderError(
            sentence.changed(self.masked),
            code,
            provider=self._name,
            status=status,
            retry_after=retry_after,
            retryable=retryable and code in _RETRYABLE,
        )

    def _deadline(self, code: str, sentence: Sentence) -> DeadlineError:
        return DeadlineError(sentence.changed(self.masked), code, provider=self._name, retryable=code in _RETRYABLE)

    @property
    def _who(self) -> str:
        return f"{self._name}:{self._model}"


_SENTENCES = {
    "authentication": _("%(name)s refused the key: %(quote)s Check %(key)s."),
    "model_not_found": _("%(name)s does not know the model '%(model)s': %(quote)s Check its name."),
    "rate_limited": _("%(name)s asks to wait: %(quote)s %(wait)s"),
    "overloaded": _("%(name)s is overloaded: %(quote)s %(wait)s"),
    "context_length": _(
        "The messages are too long for %(model)s: %(quote)s Start a new chat, or choose a model with a larger context."
    ),
    "bad_request": _("%(name)s refused the request: %(quote)s"),
    "wrong_address": _("%(name)s refused the request: %(quote)s Is the base URL %(url)s right?"),
    "server_error": _("%(name)s failed: %(quote)s Try again."),
}


def _wait(retry_after: float | None, out_of_money: bool) -> Sentence:
    if out_of_money:
        return _("Look at the account's plan and billing.")
    if retry_after:
        return _("Try again in %(seconds)s s.", seconds=f"{retry_after:g}")
    return _("Try again a little later.")


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
