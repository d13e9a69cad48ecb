"""A browser without scripts: it reads pages, fills in the forms that are on them, and presses their buttons."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from experiments.service.people import add_person
from experiments.storage.database import writing
from webapp.clock import now
from webapp.lab import new_token

PASSWORD = "a long enough password"

Fields = list[tuple[str, str]]


@dataclass
class Form:
    """One form of a page: where it goes, and what a browser would send."""

    action: str
    method: str
    fields: Fields = field(default_factory=list)
    buttons: Fields = field(default_factory=list)

    def set(self, name: str, *values: str) -> Self:
        """Fill in every field of that name; the number of values may differ from the number of fields."""
        at = next((i for i, (known, _) in enumerate(self.fields) if known == name), len(self.fields))
        rest = [(known, value) for known, value in self.fields if known != name]
        self.fields = [*rest[:at], *((name, value) for value in values), *rest[at:]]
        return self

    def get(self, name: str) -> list[str]:
        """What stands in the fields of that name."""
        return [value for known, value in self.fields if known == name]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._textarea: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "form":
            self.forms.append(Form(given.get("action") or "", given.get("method") or "get"))
        elif tag == "input" and name and self.forms:
            kind = given.get("type") or "text"
            if kind == "file" or (kind in {"radio", "checkbox"} and "checked" not in given):
                return
            self.forms[-1].fields.append((name, value))
        elif tag == "button" and name and self.forms:
            self.forms[-1].buttons.append((name, value))
        elif tag == "select":
            self._select = (name, [])
        elif tag == "option" and self._select is not None:
            self._select[1].append((value, "selected" in given))
        elif tag == "textarea":
            self._textarea = (name, [])

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._textarea[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self._select is not None:
            name, options = self._select
            chosen = next((value for value, selected in options if selected), options[0][0])
            self.forms[-1].fields.append((name, chosen))
            self._select = None
        elif tag == "textarea" and self._textarea is not None:
            name, texts = self._textarea
            self.forms[-1].fields.append((name, "".join(texts).removeprefix("\n")))
            self._textarea = None


@dataclass
class Browser:
    """One session."""

    client: FlaskClient

    @classmethod
    def signed_in(cls, app: Flask, role: str) -> Self:
        """A new person with that role, signed in by the link that adding them gives."""
        token = new_token()
        with writing(app.extensions["offerlab"].engine) as conn:
            add_person(conn, f"{role}@shop.example", role, token, now())  # type: ignore[arg-type]  # a role by its name
        browser = cls(app.test_client())
        form = browser.form(f"/link/{token}").set("password", PASSWORD)
        assert browser.send(form, f"/link/{token}").status_code == 302
        return browser

    def get(self, path: str) -> TestResponse:
        """A page."""
        return self.client.get(path)

    def text(self, path: str) -> str:
        """A page that is there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.text

    def form(self, path: str, number: int = -1) -> Form:
        """A form of the page, the last one unless said: the others are the frame's."""
        return self.read(self.client.get(path), number)

    def forms(self, path: str) -> list[Form]:
        """All forms of a page, the frame's too."""
        parser = _Forms()
        parser.feed(self.text(path))
        return parser.forms

    @staticmethod
    def read(answer: TestResponse, number: int = -1) -> Form:
        """A form of an answer."""
        parser = _Forms()
        parser.feed(answer.text)
        return parser.forms[number]

    def send(self, form: Form, path: str, button: tuple[str, str] | None = None) -> TestResponse:
        """Press a button: the form's fields and the button's own, to where it points or to the page itself."""
        sent: dict[str, list[str]] = {}
        for name, value in [*form.fields, *([button] if button else [])]:
            sent.setdefault(name, []).append(value)
        return self.client.post(form.action or path, data=sent)
