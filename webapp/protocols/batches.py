"""A batch of messages of a Segment or RudderStack client, into the event log: the good in, the others by reason."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import orjson

from experiments.errors import Invalid, Malformed
from experiments.moment import Micros
from experiments.money import to_decimal
from experiments.service.recording import (
    Receipt,
    Rejection,
    quarantine,
    record_conversions,
    record_exposures,
    record_link,
)
from experiments.service.snapshot import StorefrontView
from experiments.storage.database import reading
from experiments.storage.quarantine import Refused
from experiments.storage.refunds import remainders
from webapp.lab import Lab, new_id
from webapp.protocols.ecommerce import Record
from webapp.protocols.messages import Link, read_message

PERSONAL = frozenset({"context", "traits", "integrations"})


def record_messages(
    lab: Lab, view: StorefrontView, messages: Sequence[object], kind: str | None, sent_at: object, received: Micros
) -> Receipt:
    """What became of each message; the rejections carry its place."""
    exposures: list[tuple[int, Record]] = []
    conversions: list[tuple[int, Record]] = []
    links: dict[Link, None] = {}  # each once, in order: of several customers the first counts
    rejected: list[Rejection] = []
    for index, message in enumerate(messages):
        try:
            found = read_message(message, kind, view, sent_at, received)
        except Invalid as refusal:
            rejected.append(Rejection(index, refusal.code, refusal.message, refusal.errors))
            continue
        if isinstance(found, Link):
            links[found] = None
        elif found is not None:
            (conversions if "type" in found else exposures).append((index, found))
    whole = [(i, found) for i, found in conversions if found["type"] == "refund" and "amount" not in found]
    plain = [(i, found) for i, found in conversions if found["type"] != "refund" or "amount" in found]
    total = Receipt()
    for link in links:
        total += record_link(lab.writer, view, link.visitor_id, link.customer_id, received)
    total += _recorded(exposures, lambda raws: record_exposures(lab.writer, view, raws, received))
    total += _recorded(plain, lambda raws: record_conversions(lab.writer, view, raws, received, new_id))
    # what a whole order brought is known once the orders of the same batch are there
    priced, unknown = _priced(lab, view, whole)
    total += _recorded(priced, lambda raws: record_conversions(lab.writer, view, raws, received, new_id))
    unread = Receipt(rejected=(*rejected, *unknown))
    _keep_out(lab, view, messages, unread, received)
    return total + unread


def _keep_out(lab: Lab, view: StorefrontView, messages: Sequence[object], unread: Receipt, received: Micros) -> None:
    """Quarantine the messages that say nothing the contract could; those that do are quarantined as it writes them."""
    if unread.rejected:
        told = [(r, _bare(messages[r.index])) for r in unread.rejected]
        quarantine(lab.writer, view, [Refused("segment", body, r.code, r.message) for r, body in told], received)


def _bare(message: object) -> bytes:
    """A message without the page, the browser and the traits of whoever it is about."""
    kept = {k: v for k, v in message.items() if k not in PERSONAL} if isinstance(message, dict) else message
    try:
        return msgspec.json.encode(kept)
    except (UnicodeEncodeError, RecursionError):
        return repr(message)[:1000].encode("ascii", "backslashreplace")


def _priced(
    lab: Lab, view: StorefrontView, whole: Sequence[tuple[int, Record]]
) -> tuple[list[tuple[int, Record]], tuple[Rejection, ...]]:
    """Refunds of whole orders with what is left of them; those of orders that nobody knows are refused."""
    if not whole:
        return [], ()
    with reading(lab.engine) as conn:
        left = remainders(conn, view.storefront.id, {str(found["order_id"]) for _, found in whole})
    priced, unknown = [], []
    for index, found in whole:
        rest = left.get(str(found["order_id"]))
        if rest is None:
            message = f"order_id: there is no order {found['order_id']!r} yet whose revenue could be given back"
            unknown.append(Rejection(index, "unknown_order", message))
        else:
            amount = {"amount": to_decimal(rest.amount, rest.currency), "currency": rest.currency}
            priced.append((index, found | amount))
    return priced, tuple(unknown)


def _recorded(events: Sequence[tuple[int, Record]], record: Callable[[Sequence[bytes]], Receipt]) -> Receipt:
    """Records the events that can be written as JSON; the rejections by their place in the batch."""
    places, raws, rejected = [], [], []
    for index, event in events:
        try:
            raws.append(orjson.dumps(event))
            places.append(index)
        except TypeError as error:  # half a surrogate pair, an integer beyond 64 bits
            rejected.append(Rejection(index, Malformed.code, str(error)))
    receipt = record(raws) if raws else Receipt()
    placed = [replace(r, index=places[r.index]) for r in receipt.rejected]
    return Receipt(receipt.accepted, receipt.duplicate, (*rejected, *placed))
