"""How the pages look to this reader, in cookies that outlive a session: their language, and light or dark."""

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from webapp.lab import the_lab
from webapp.ui import language
from webapp.ui.signing_in import local_path

blueprint = Blueprint("look", __name__)

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "offerlab_theme"
KEPT_FOR = 365 * 24 * 3600


@blueprint.post("/look")
def choose() -> ResponseReturnValue:
    """Keep the choice, and go back to the page it was made on."""
    answer = redirect(local_path(request.form.get("next", "")))
    for name, cookie, known in (("language", language.COOKIE, language.languages()), ("theme", THEME_COOKIE, THEMES)):
        if (chosen := request.form.get(name)) in known:
            secure = the_lab().settings.secure_cookies
            answer.set_cookie(cookie, str(chosen), max_age=KEPT_FOR, httponly=True, samesite="Lax", secure=secure)
    return answer


def theme() -> str:
    """Light, dark, or auto: as the reader's system has it."""
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"
