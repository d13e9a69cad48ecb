"""The visitor as the shop's cookies tell: the basket, the last order, and whether the visit may be measured."""

import re
from typing import Any, Literal, TypeVar

import msgspec
from flask import Request, Response
from itsdangerous import BadSignature, URLSafeSerializer

from webapp.shop.basket import Basket
from webapp.shop.order import Order
from webapp.visit import PREVIEW

BASKET, ORDER, CONSENT = "shop_basket", "shop_order", "shop_consent"
VISITOR = "exp_vid"
"""The snippet's cookie; it is there only after consent."""
SENDS_TO = "DE"
KEPT_FOR = 30 * 86400
PATH = "/shop"

Consent = Literal["yes", "no", ""]
_ID = re.compile(r"[\w.-]{1,128}", re.ASCII)
_Kept = TypeVar("_Kept", Basket, Order)


class Cookies:
    """What the shop writes into its visitors' browsers, and nobody else can."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        self._secret = secret
        self._secure = secure

    def basket(self, request: Request) -> Basket:
        """The visitor's basket; an empty one where there is none that is ours."""
        return self._read(request, BASKET, Basket) or Basket()

    def order(self, request: Request) -> Order | None:
        """The visitor's last order."""
        return self._read(request, ORDER, Order)

    def keep(self, response: Response, *things: Basket | Order) -> Response:
        """The answer with these in its cookies."""
        for thing in things:
            name = BASKET if isinstance(thing, Basket) else ORDER
            value = self._serializer(name).dumps(msgspec.to_builtins(thing))
            response.set_cookie(
                name, str(value), KEPT_FOR, path=PATH, secure=self._secure, httponly=True, samesite="Lax"
            )
        return response

    def keep_consent(self, response: Response, consent: Consent) -> Response:
        """The answer with the visitor's choice; with a no, the snippet's id goes too."""
        response.set_cookie(CONSENT, consent, KEPT_FOR, path=PATH, secure=self._secure, samesite="Lax")
        if consent != "yes":
            response.delete_cookie(VISITOR)
        return response

    def _read(self, request: Request, name: str, kind: type[_Kept]) -> _Kept | None:
        try:
            told: Any = self._serializer(name).loads(request.cookies.get(name, ""))
            return msgspec.convert(told, kind)
        except (BadSignature, msgspec.ValidationError):
            return None

    def _serializer(self, name: str) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret, salt=f"shop/{name}")


def consent_of(request: Request) -> Consent:
    """What the visitor said about being measured."""
    said = request.cookies.get(CONSENT, "")
    return "yes" if said == "yes" else "no" if said == "no" else ""


def visitor_of(request: Request) -> str | None:
    """The id that the snippet gave the visitor; None without consent."""
    found = request.cookies.get(VISITOR, "")
    return found if consent_of(request) == "yes" and _ID.fullmatch(found) else None


def attributes_of(request: Request) -> dict[str, object]:
    """What the visitor's experiments may be targeted by, and the preview that is looked at."""
    token = request.cookies.get(PREVIEW)
    known: dict[str, object] = {"country": SENDS_TO}
    return known | {PREVIEW: token} if token else known
