"""HTTP as a browser uses it, with a browser's cookies and its Origin header: pages, redirects, signing in."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

from .page import Page
from .report import Report

TIMEOUT = 20.0
"""Seconds for one request."""

REDIRECTS = (301, 302, 303, 307, 308)

MOST_REDIRECTS = 10

SCHEME_FIX = (
    "Let the proxy set X-Forwarded-Proto (nginx: `proxy_set_header X-Forwarded-Proto $scheme;`), and the site believe "
    'it (SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")).'
)
ORIGIN_FIX = (
    "Let the proxy pass on the browser's host and scheme, for sockets too (nginx: `proxy_set_header Host $http_host; "
    "proxy_set_header X-Forwarded-Proto $scheme;`), or add {origin} to CSRF_TRUSTED_ORIGINS."
)
PREFIX_FIX = (
    'Tell the site its prefix with FORCE_SCRIPT_NAME = "{prefix}" or the server\'s --root-path {prefix}, and let the '
    "proxy pass on everything below it."
)


class Stop(Exception):
    """It cannot go on: the report says why."""


@dataclass
class Answer:
    """The answer to one request."""

    url: str
    status: int
    type: str
    text: str
    location: str

    def json(self) -> dict[str, Any]:
        """Its object. Raises Stop if it is none."""
        try:
            return msgspec.json.decode(self.text, type=dict[str, Any])
        except msgspec.MsgspecError:
            raise Stop from None


class Visitor:
    """A browser that looks for the chat at an address."""

    def __init__(self, http: aiohttp.ClientSession, url: str, report: Report) -> None:
        self.http = http
        self._url = url if url.endswith("/") else f"{url}/"
        self._report = report
        self._has_secure_cookies = False

    @property
    def prefix(self) -> str:
        """The path of the address, without a slash at its end."""
        return urlsplit(self._url).path.rstrip("/")

    @staticmethod
    def origin(url: str) -> str:
        """The Origin that a page at this address sends."""
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}"

    async def send(self, method: str, url: str, **options: Any) -> Answer:
        """One request. Raises Stop if nothing answers."""
        try:
            async with self.http.request(method, url, allow_redirects=False, **options) as response:
                body = await response.read()
                cookies = response.cookies.values()
                self._has_secure_cookies |= any(cookie["secure"] for cookie in cookies) and url.startswith("http:")
                text, location = body.decode("utf-8", "replace"), response.headers.get("Location", "")
                return Answer(url, response.status, response.content_type, text, location)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            self._report.add(
                "unreachable",
                f"Nothing answers at {url}: {error or type(error).__name__}.",
                "Check the address, DNS, the certificate, and the firewall, and that the proxy and the site run.",
            )
            raise Stop from None

    async def open(self, url: str) -> Answer:
        """A page, after its redirects. Raises Stop if there is none."""
        seen: list[str] = []
        while True:
            answer = await self.send("GET", url)
            if answer.status not in REDIRECTS:
                break
            seen.append(url)
            url = urljoin(url, answer.location)
            if url in seen or len(seen) > MOST_REDIRECTS:
                self._report.add("redirect_loop", f"The site redirects {url} to itself.", SCHEME_FIX)
                raise Stop
        self._check(answer, seen)
        return answer

    async def sign_in(self, username: str, password: str) -> Page:
        """The page of the chat, for this user. Raises Stop if there is none."""
        answer = await self._start()
        form = Page(answer.text).sign_in
        if form is not None:
            answer = await self._submit(answer, form.action, form.filled(username, password))
            if Page(answer.text).sign_in is not None:
                self._report.add(
                    "sign_in_refused",
                    f"The site did not sign in {username}.",
                    "Check --username and --password, and that the account is active.",
                )
                raise Stop
        for url in (answer.url, self._url, urljoin(self._url, "chat/")):
            page = await self.send("GET", url)
            if page.status == 200 and (found := Page(page.text)).chat is not None:
                self.page_url = url
                return found
            if page.status >= 500:
                self._check(page, [])
        self._report.add(
            "no_chat",
            f"There is no chat at {self._url}, or {username} may not use it.",
            "Give the address at which a browser shows the chat, and an account that may use it.",
        )
        raise Stop

    async def _start(self) -> Answer:
        """The page with the form, or with the chat."""
        answer = await self.open(self._url)
        page = Page(answer.text)
        if page.sign_in is None and page.chat is None:
            answer = await self.open(urljoin(self._url, "chat/"))
        return answer

    async def _submit(self, page: Answer, action: str, form: dict[str, str]) -> Answer:
        """Sign in: once as a browser does, and if the site refuses the page's origin, once without it, to look on."""
        url, headers = urljoin(page.url, action), {"Referer": page.url}
        answer = await self.send("POST", url, data=form, headers=headers | {"Origin": self.origin(page.url)})
        if answer.status == 403:
            if self._has_secure_cookies:
                self._report.add(
                    "plain_http",
                    "The site marks its cookies as secure, so browsers do not send them to an http:// address.",
                    "Use an https:// address, or set PLAIN_HTTP=1 (SESSION_COOKIE_SECURE and CSRF_COOKIE_SECURE off).",
                )
                raise Stop
            origin = self.origin(page.url)
            self._report.add(
                "wrong_origin",
                f"The site refuses forms of its own pages: it does not know that it is at {origin}.",
                ORIGIN_FIX.format(origin=origin),
            )
            answer = await self.send("POST", url, data=form, headers=headers)
        if answer.status in REDIRECTS:
            return await self.open(urljoin(url, answer.location))
        self._check(answer, [])
        return answer

    def _check(self, answer: Answer, redirected: list[str]) -> None:
        """Raises Stop if this is no page that a visitor should see."""
        status, url = answer.status, answer.url
        if status in (200, 401):
            return
        if status == 400:
            self._report.add(
                "wrong_host",
                f"The site refuses requests to {self.origin(url)}.",
                f"Add {urlsplit(url).hostname} to ALLOWED_HOSTS, and let the proxy pass on the browser's Host.",
            )
        elif status == 404:
            what = f"sends browsers from {redirected[-1]} to {url}, where nothing is" if redirected else "has no page"
            prefix = self.prefix.removesuffix("/chat")
            if prefix or redirected:
                fix = PREFIX_FIX.format(prefix=prefix or "/")
            else:
                fix = "Check the address, and that the site includes chat.urls in its ROOT_URLCONF."
            self._report.add("wrong_prefix", f"The site at {self._url} {what}.", fix)
        elif status in (502, 503, 504):
            self._report.add(
                "unreachable",
                f"The proxy at {self.origin(url)} answers {status}: no process of the site answers it.",
                "Start the site, and compare its address with the proxy's (nginx: `upstream` and `proxy_pass`).",
            )
        else:
            self._report.add(
                "server_error",
                f"{url} answers {status}.",
                "Read the site's log for the reason. A missing `manage.py collectstatic` or `migrate` is a common one.",
            )
        raise Stop
