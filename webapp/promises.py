"""Tokens of promised prices: what a visitor was shown is signed, so that it can be proved later."""

from functools import lru_cache

import msgspec
from itsdangerous import Signer
from itsdangerous.encoding import base64_decode, base64_encode

from experiments.assignment import Assignment
from experiments.moment import Micros
from experiments.promise import Promise, kept, promise
from experiments.service.serving import AssignmentRequest
from webapp.auth import Access
from webapp.lab import Lab


def promised(lab: Lab, caller: Access, request: AssignmentRequest, made: Assignment, at: Micros) -> Assignment:
    """The assignment with its offer at the price that this visitor has been promised, where a token proves it."""
    if made.offer is None or not request.price_tokens:
        return made
    tokens = (opened(lab, caller, request.visitor_id, token) for token in request.price_tokens)
    found = kept(made.offer, [token for token in tokens if token is not None], caller.view.catalogue, at)
    return made if found is made.offer else msgspec.structs.replace(made, offer=found)


def price_token(lab: Lab, caller: Access, visitor_id: str, made: Assignment, at: Micros) -> str | None:
    """The token of what is shown; None where that is no offer."""
    shown = promise(made.offer, at) if made.offer is not None else None
    return None if shown is None else sealed(lab, caller, visitor_id, shown)


def sealed(lab: Lab, caller: Access, visitor_id: str, made: Promise) -> str:
    """A promise as a token that only we can make, good for this visitor at this storefront."""
    told = base64_encode(msgspec.json.encode(made))
    signature = _signer(lab.settings.secret_key, caller.view.storefront.key).get_signature(_signed(told, visitor_id))
    return f"{told.decode()}.{signature.decode()}"


def opened(lab: Lab, caller: Access, visitor_id: str, token: str) -> Promise | None:
    """What a token promises this visitor; None where it is not ours, or another's."""
    told, _, signature = token.encode("utf-8", "replace").partition(b".")
    signer = _signer(lab.settings.secret_key, caller.view.storefront.key)
    if not signer.verify_signature(_signed(told, visitor_id), signature):
        return None
    return msgspec.json.decode(base64_decode(told), type=Promise)


def _signed(told: bytes, visitor_id: str) -> bytes:
    return told + b"." + visitor_id.encode()


@lru_cache(maxsize=1024)
def _signer(secret: str, storefront: str) -> Signer:
    return Signer(secret, salt=f"price/{storefront}")
