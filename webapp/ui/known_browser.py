"""A browser that somebody signed in with before: a flood of guesses at their address does not keep it out.

As in OWASP's "Slow down online guessing attacks with device cookies": the cookie opens nothing, it only has guesses
from this browser counted by themselves.
"""

from typing import cast

from flask import Response, request
from itsdangerous import BadData, URLSafeTimedSerializer

from experiments.storage.keys import digest
from webapp.lab import new_id, the_lab

COOKIE = "offerlab_browser"
KNOWN_FOR = 180 * 24 * 3600
"""Seconds."""


def known_browser(email: str) -> str | None:
    """The browser's name, where a person of this address signed in with it before; None for any other."""
    try:
        whose, name = _seal().loads(request.cookies.get(COOKIE, ""), max_age=KNOWN_FOR)
    except (BadData, ValueError, TypeError):
        return None
    return cast("str", name) if whose == _mark(email) else None


def remember_browser(answer: Response, email: str) -> Response:
    """Know this browser again."""
    answer.set_cookie(
        COOKIE,
        _seal().dumps([_mark(email), known_browser(email) or new_id()]),
        max_age=KNOWN_FOR,
        path="/login",
        httponly=True,
        samesite="Lax",
        secure=the_lab().settings.secure_cookies,
    )
    return answer


def _mark(email: str) -> str:
    return digest(email)[:16]


def _seal() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(the_lab().settings.secret_key, salt="offerlab known browser")
