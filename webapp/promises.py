"""Tokens of promised prices: what a visitor was shown is signed, so that it can be proved later."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest

import msgspec

from experiments.assignment import Assignment
from experiments.moment import Micros
from experiments.offers import NoOffer
from experiments.promise import Promise, kept, promise, promises
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


def proofs(lab: Lab, caller: Access, visitor_id: str, made: Assignment, at: Micros) -> dict[str, object]:
    """What stands beside an offer: the token of its price and, where there are several prices, each one's by its id."""
    if made.offer is None or isinstance(made.offer.offer, NoOffer):
        return {}
    if not (made.offer.tiers or made.offer.steps):
        return {"price_token": price_token(lab, caller, visitor_id, made, at)}
    tokens = {shown.offer_id: sealed(lab, caller, visitor_id, shown) for shown in promises(made.offer, at)}
    return {"price_token": tokens[made.offer.offer_id], "price_tokens": tokens}


def sealed(lab: Lab, caller: Access, visitor_id: str, made: Promise) -> str:
    """A promise as a token that only we can make, good for this visitor at this storefront."""
    told = urlsafe_b64encode(made.json)
    return (told + b"." + _signature(lab, caller, visitor_id, told)).decode()


def opened(lab: Lab, caller: Access, visitor_id: str, token: str) -> Promise | None:
    """What a token promises this visitor; None where it is not ours, or another's."""
    told, _, signature = token.encode("utf-8", "replace").partition(b".")
    if not compare_digest(signature, _signature(lab, caller, visitor_id, told)):
        return None
    return msgspec.json.decode(urlsafe_b64decode(told), type=Promise)


def _signature(lab: Lab, caller: Access, visitor_id: str, told: bytes) -> bytes:
    key = _key(lab.settings.secret_key, caller.view.storefront.key)
    return urlsafe_b64encode(blake2b(told + b"." + visitor_id.encode(), key=key, digest_size=24).digest())


@lru_cache(maxsize=1024)
def _key(secret: str, storefront: str) -> bytes:
    return blake2b(f"{storefront}\x1f{secret}".encode(), person=b"price").digest()
