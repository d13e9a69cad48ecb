"""Signing in by an OpenID provider, beside passwords: the authorization code with PKCE, by Authlib.

Nothing is asked of the provider before somebody wants to sign in by it, so that passwords work while it is away.
"""

import logging
from typing import Any, cast

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import (
    Blueprint,
    Flask,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from joserfc.errors import JoseError
from requests import RequestException

from experiments.errors import Invalid
from experiments.moment import SECOND
from experiments.service.entering import NotAdmitted, Vouched, admit
from experiments.storage.bindings import Account
from experiments.storage.database import writing
from webapp.clock import now
from webapp.lab import the_lab
from webapp.oidc import OpenId, may_be_asked
from webapp.ui.openid_hint import forget_hint, keep_hint, kept_hint
from webapp.ui.signing_in import LEAVING, begin_session, local_path, show_login

log = logging.getLogger(__name__)
blueprint = Blueprint("openid", __name__, url_prefix="/login/openid")

PATIENCE = 5
"""Seconds that the provider has for an answer."""
LEEWAY = 60
"""Seconds that its clock may differ."""
KEPT_FOR = 3600
"""Seconds after which what it says of itself, its keys too, is asked for again."""
SIGNED_BY = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that only the provider can make: none with a secret that is shared, and never none at all."""
LONGEST_SUBJECT = 255
"""Characters of a `sub` (OpenID Connect Core 1.0, section 2)."""
WANTED = "openid_wanted"


class Distrusted(Exception):
    """What the provider said cannot be trusted; the message is for the log."""


def install(app: Flask, setup: OpenId) -> None:
    """Give the application a client of the provider."""
    app.extensions["offerlab_openid"] = OAuth(app).register(
        "openid",
        overwrite=False,
        client_id=setup.client_id,
        client_secret=setup.client_secret,
        server_metadata_url=f"{setup.issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email", "code_challenge_method": "S256", "default_timeout": PATIENCE},
    )
    app.register_blueprint(blueprint)


@blueprint.get("/")
def begin() -> ResponseReturnValue:
    """Off to the provider, with a state, a nonce and a challenge that only this browser can answer."""
    wanted = local_path(request.args.get("next", ""))
    for name in [name for name in session if name.startswith("_state_openid")]:
        session.pop(name)  # one way at a time: the session is a cookie, and small
    session[WANTED] = wanted
    try:
        _known_provider()
        answer: ResponseReturnValue = _client().authorize_redirect(url_for("openid.end", _external=True))
    except (RequestException, Distrusted, RuntimeError, ValueError) as error:
        return _away(error)
    return answer


@blueprint.get("/callback")
def end() -> ResponseReturnValue:
    """Back from the provider: in, where its word holds and they are welcome."""
    wanted = local_path(session.pop(WANTED, ""))
    try:
        claims, id_token = _claims()
    except RequestException as error:
        return _away(error)
    except (AuthlibBaseError, JoseError, Distrusted, ValueError, KeyError, TypeError) as error:
        return _distrusted(error)
    said = _vouched(claims)
    try:
        with writing(the_lab().engine) as conn:
            person = admit(conn, said, _setup().admission, now())
    except (NotAdmitted, Invalid) as refusal:
        log.warning("openid: not admitted: %s", refusal.message)
        return show_login(wanted, _sentence(refusal, said.email), 403)
    begin_session(person, "openid", said.account)
    return keep_hint(make_response(redirect(wanted)), id_token)


@blueprint.get("/leave")
def leave() -> ResponseReturnValue:
    """Signing out at the provider too, where it can be asked to; here it is done already.

    It is a page that leads there, as a form's answer may not: the pages' policy keeps forms here.
    """
    if not session.pop(LEAVING, False):
        return redirect(url_for("signing_in.login"))
    try:
        address = _farewell()
    except (RequestException, Distrusted, RuntimeError, ValueError) as error:
        log.warning("openid: not signed out at the provider: %s", error)
        name = _setup().name
        said = gettext(
            "You are signed out here. %(name)s does not answer: you may still be signed in there.", name=name
        )
        return show_login("", said)
    if address is None:
        return redirect(url_for("signing_in.login"))
    answer = make_response(render_template("signing_out.html", address=address, name=_setup().name))
    answer.headers["Cache-Control"] = "no-store"
    return forget_hint(answer)


def _farewell() -> str | None:
    """Where the provider ends its own session and sends people back from, or None where it has no such place.

    OpenID Connect RP-Initiated Logout 1.0, section 2.
    """
    place = _known_provider().get("end_session_endpoint")
    if not place:
        return None
    if not may_be_asked(str(place)):
        raise Distrusted(f"it says that people sign out at {place!r}")
    back = url_for("signing_in.login", _external=True)
    asked = _client().create_logout_url(
        post_logout_redirect_uri=back, id_token_hint=kept_hint(), client_id=_setup().client_id
    )
    return str(asked["url"])


def _client() -> Any:
    return current_app.extensions["offerlab_openid"]


def _setup() -> OpenId:
    return cast("OpenId", the_lab().settings.openid)


def _known_provider() -> dict[str, Any]:
    """What the provider says of itself, fresh enough, and by the issuer that was set; Distrusted where by another."""
    client = _client()
    held = client.server_metadata
    if now() // SECOND - held.get("_loaded_at", 0) > KEPT_FOR:
        held.clear()
    said: dict[str, Any] = client.load_server_metadata()
    issuer = _setup().issuer
    if str(said.get("issuer", "")).rstrip("/") != issuer:
        found = said.get("issuer")
        held.clear()
        raise Distrusted(f"{issuer} says that it is {found!r}")
    said["id_token_signing_alg_values_supported"] = list(SIGNED_BY)
    by = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if "client_secret_basic" not in by and "client_secret_post" in by:
        client.client_kwargs["token_endpoint_auth_method"] = "client_secret_post"  # noqa: S105 - a method's name
    return said


def _vouched(claims: dict[str, Any]) -> Vouched:
    account = Account(_setup().issuer, claims["sub"])
    verified = claims.get("email_verified") is True
    return Vouched(account, str(claims.get("email") or ""), verified, _setup().role_of(claims))


def _claims() -> tuple[dict[str, Any], str]:
    """Who it is, in the provider's signed words: made for us, now, in answer to this browser; and the words as such."""
    provider = _known_provider()
    sender = request.args.get("iss")
    if sender is not None and sender != provider["issuer"]:  # RFC 9207: the answer of another provider
        raise Distrusted(f"the answer says that it comes from {sender!r}")
    expected = {
        "iss": {"essential": True, "value": provider["issuer"]},
        "aud": {"essential": True, "value": _setup().client_id},
    }
    token = _client().authorize_access_token(claims_options=expected, leeway=LEEWAY)
    claims = dict(token.get("userinfo") or {})
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise Distrusted("the answer holds no id_token, or one that says nobody's sub")
    if "email" not in claims and provider.get("userinfo_endpoint"):
        more = _client().userinfo(token=token)
        if more.get("sub") != subject:
            raise Distrusted("the userinfo is somebody else's")
        claims = {**more, **claims}
    return claims, str(token["id_token"])


def _away(error: Exception) -> ResponseReturnValue:
    log.warning("openid: the provider does not answer: %s", error)
    said = gettext("%(name)s does not answer. Sign in with your password, or try again later.", name=_setup().name)
    return show_login(session.pop(WANTED, ""), said, 503)


def _distrusted(error: Exception) -> ResponseReturnValue:
    log.warning("openid: refused: %s: %s", type(error).__name__, error)
    said = gettext("%(name)s sent an answer that does not hold, or holds no longer. Try again.", name=_setup().name)
    return show_login("", said, 403)


def _sentence(refusal: NotAdmitted | Invalid, email: str) -> str:
    name, domain = _setup().name, email.rpartition("@")[2]
    if refusal.code == "mail_not_verified":
        return str(gettext("Your e-mail address is not confirmed at %(name)s: confirm it there first.", name=name))
    if refusal.code == "other_domain":
        return str(gettext("Addresses of %(domain)s may not sign in here by %(name)s.", domain=domain, name=name))
    if refusal.code == "other_account":
        said = gettext(
            "%(email)s signed in here with another account of %(name)s before. Ask an admin to undo that binding.",
            email=email, name=name,
        )  # fmt: skip
        return str(said)
    if refusal.code == "not_invited":
        said = gettext("Nobody has invited %(email)s here yet. Ask an admin of this installation.", email=email)
        return str(said)
    return str(gettext("%(name)s did not say your e-mail address.", name=name))
