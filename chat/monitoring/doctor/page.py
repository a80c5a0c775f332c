"""Reads the pages that a browser gets: the form to sign in, the element of the chat, and the files that it loads."""

from html.parser import HTMLParser
from typing import Any

import msgspec

TYPED = ("", "text", "email")
"""Types of the field in which people write who they are."""


class Page(HTMLParser):
    """One page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.chat: dict[str, str] | None = None
        """The attributes of the element `nous-chat`; None if the page has none."""
        self.setup: dict[str, Any] = {}
        """What the server tells the element."""
        self.forms: list[Form] = []
        self.scripts: list[str] = []
        self.stylesheets: list[str] = []
        self._json: str | None = None
        self.feed(html)
        self.close()

    @property
    def sign_in(self) -> "Form | None":
        """The form with a password."""
        return next((form for form in self.forms if form.password), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "nous-chat":
                self.chat = given
                self.stylesheets += [given[name] for name in ("stylesheet", "document-stylesheet") if name in given]
            case "form":
                self.forms.append(Form(given.get("action", "")))
            case "input" if self.forms:
                self.forms[-1].add(given)
            case "script" if given.get("type") == "application/json" and self.chat is not None:
                self._json = ""
            case "script" if "src" in given:
                self.scripts.append(given["src"])
            case "link" if "stylesheet" in given.get("rel", "").split():
                self.stylesheets.append(given.get("href", ""))

    def handle_data(self, data: str) -> None:
        if self._json is not None:
            self._json += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self._json is not None:
            if not self.setup:
                self.setup = msgspec.json.decode(self._json, type=dict[str, Any])
            self._json = None


class Form:
    """A form with what it sends."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.password = self._username = ""
        self._hidden: dict[str, str] = {}

    def add(self, field: dict[str, str]) -> None:
        """Note one of its fields."""
        name, kind = field.get("name", ""), field.get("type", "")
        if kind == "hidden":
            self._hidden[name] = field.get("value", "")
        elif kind == "password":
            self.password = self.password or name
        elif kind in TYPED and not self._username:
            self._username = name

    def filled(self, username: str, password: str) -> dict[str, str]:
        """What it sends for this user."""
        return self._hidden | {self._username: username, self.password: password}
