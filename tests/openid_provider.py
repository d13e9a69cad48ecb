"""A real OpenID provider on a socket: Authlib's own server, with keys of its own, and somebody at its screen.

It can be told to answer wrongly, to be somebody else, to change its keys, and to be away.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, redirect, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID, CLIENT_SECRET = "offerlab-tests", "a secret between the two"


class Client:
    """What the provider knows of this installation."""

    client_id = CLIENT_ID

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri.endswith("/login/openid/callback")

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code:
    """What an authorization code stands for."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    user: Any

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())  # noqa: TID251 - a provider has a clock of its own

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@cache
def _key(number: int) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": f"key-{number}", "use": "sig", "alg": "RS256"}, private=True)


Claims = dict[str, Any]


@dataclass
class Provider:
    """The provider, and what it does next."""

    person: Claims = field(default_factory=lambda: {"email": "ann@shop.example", "email_verified": True})
    """Who sits there, as its claims say."""
    warp: Callable[[Claims], Claims] = lambda claims: claims
    """What it makes of an id_token's claims before it signs them."""
    sign: Callable[[Claims], str] | None = None
    """How it signs them, where not as it should."""
    says_issuer: str = ""
    """Who it says it is, where that is not the truth."""
    thin: bool = False
    """Whether the id_token says no more than who it is, and the rest is asked for."""
    ends_sessions: bool = False
    """Whether people can be signed out there."""
    left: list[Claims] = field(default_factory=list)
    """How they were."""
    answers_as: str = ""
    denies: bool = False
    key: RSAKey = field(default_factory=lambda: _key(1))
    codes: dict[str, Code] = field(default_factory=dict)
    asked: list[Claims] = field(default_factory=list)
    url: str = ""

    def rotate(self) -> None:
        """Another key from now on, and no word of the old one."""
        self.key = _key(int(self.key.as_dict()["kid"].rpartition("-")[2]) + 1)

    def app(self) -> Flask:
        """The provider as an application."""
        app = Flask("openid_provider")
        server = AuthorizationServer(app, lambda client_id: Client() if client_id == CLIENT_ID else None, _forget)
        server.register_grant(_grant(self), [CodeChallenge(required=True), _Tokens(self)])

        @app.get("/.well-known/openid-configuration")
        def configuration() -> Claims:
            more = {"end_session_endpoint": f"{self.url}/end"} if self.ends_sessions else {}
            return more | {
                "issuer": self.says_issuer or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/keys",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            }

        @app.get("/keys")
        def keys() -> Claims:
            return dict(KeySet([self.key]).as_dict(private=False))

        @app.get("/authorize")
        def authorize() -> Any:
            self.asked.append(request.args.to_dict())
            grant = server.get_consent_grant(end_user=self.person)
            answer = server.create_authorization_response(grant_user=None if self.denies else self.person, grant=grant)
            if self.answers_as:
                answer.location += f"&iss={self.answers_as}"
            return answer

        @app.get("/end")
        def end() -> Any:
            asked = request.args.to_dict()
            if hint := asked.get("id_token_hint"):
                held = jwt.decode(hint, self.key, algorithms=["RS256"]).claims
                assert held["aud"] == asked["client_id"] == CLIENT_ID
                asked["sub"] = held["sub"]
            assert asked["post_logout_redirect_uri"].endswith("/login")
            self.left.append(asked)
            return redirect(f"{asked['post_logout_redirect_uri']}?state={asked['state']}")

        @app.post("/token")
        def token() -> Any:
            return server.create_token_response()

        @app.get("/userinfo")
        def userinfo() -> Claims:
            assert request.headers["Authorization"].startswith("Bearer ")
            return {"sub": "1", **self.person}

        return app


def _forget(token: Claims, _: Any) -> None:
    """Tokens are of no use to anybody here."""


def _grant(provider: Provider) -> type[grants.AuthorizationCodeGrant]:
    class Grant(grants.AuthorizationCodeGrant):
        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            provider.codes[code] = Code(
                code, CLIENT_ID, request.payload.redirect_uri, request.payload.scope, data.get("nonce"),
                data["code_challenge"], data["code_challenge_method"], request.user,
            )  # fmt: skip

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            provider.codes.pop(authorization_code.code)

        def authenticate_user(self, authorization_code: Code) -> Any:
            return authorization_code.user

    return Grant


class _Tokens(OpenIDCode):
    """Signs what the provider says of somebody."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(require_nonce=True)
        self.provider = provider

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return any(code.nonce == nonce for code in self.provider.codes.values())

    def get_client_algorithm(self, client: Client) -> str:
        return "RS256"

    def get_encode_header(self, client: Client) -> Claims:
        return {"alg": "RS256", "kid": self.provider.key.as_dict()["kid"]}

    def get_compatible_claims(self, request: Any) -> Claims:
        at = int(time.time())  # noqa: TID251 - a provider has a clock of its own
        return {"iss": self.provider.url, "aud": CLIENT_ID, "iat": at, "exp": at + 300}

    def generate_user_info(self, user: Claims, scope: str) -> Any:
        return UserInfo({"sub": "1", **({} if self.provider.thin else user)})

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return self.provider.key

    def encode_id_token(self, token: Claims, request: Any) -> str:
        key = self.provider.key
        made = jwt.decode(super().encode_id_token(token, request), key, algorithms=["RS256"])
        claims = self.provider.warp(dict(made.claims))
        if self.provider.sign is not None:
            return self.provider.sign(claims)
        return str(jwt.encode({"alg": "RS256", "kid": made.header["kid"]}, claims, key))
