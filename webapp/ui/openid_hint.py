"""The id_token that somebody signed in with: a provider asks for it again to know whose session it is to end.

It is a cookie of its own, which only these pages get: in the session it would go along with every request.
"""

from flask import current_app, request
from werkzeug.wrappers import Response

from webapp.lab import the_lab

COOKIE, PATH = "offerlab_openid", "/login/openid"
LONGEST = 3800
"""A browser drops a longer cookie: then the provider is told the client alone."""


def keep_hint(answer: Response, id_token: str) -> Response:
    """Have the browser keep it for the sign-out, as long as the session may last."""
    if len(id_token) > LONGEST:
        return forget_hint(answer)
    lifetime, secure = current_app.permanent_session_lifetime, the_lab().settings.secure_cookies
    answer.set_cookie(COOKIE, id_token, max_age=lifetime, path=PATH, httponly=True, samesite="Lax", secure=secure)
    return answer


def kept_hint() -> str | None:
    """What this browser kept, or None."""
    return request.cookies.get(COOKIE) or None


def forget_hint(answer: Response) -> Response:
    """Have the browser drop it."""
    answer.delete_cookie(COOKIE, path=PATH)
    return answer
