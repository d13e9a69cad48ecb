"""A batch of what a tracking client says, in any dialect, into the event log: the good in, the others by reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import orjson
from sqlalchemy import Engine

from experiments.errors import Invalid, Malformed
from experiments.moment import Micros
from experiments.money import to_decimal
from experiments.service.recording import (
    Receipt,
    Rejection,
    link_recording,
    quarantine,
    record_conversions,
    record_exposures,
)
from experiments.service.snapshot import StorefrontView
from experiments.storage.database import reading
from experiments.storage.eventwriter import EventWriter
from experiments.storage.quarantine import Refused
from experiments.storage.refunds import remainders
from experiments.wording import worded
from webapp.lab import new_id
from webapp.protocols.ecommerce import Record
from webapp.protocols.messages import Link


@dataclass(frozen=True, slots=True)
class Store:
    """Where messages go; without `quarantines` what is refused is only told, as it is there already."""

    engine: Engine
    writer: EventWriter
    quarantines: bool = True

    def source(self, name: str) -> str | None:
        """Under which name refused events are quarantined."""
        return name if self.quarantines else None


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one protocol's messages are read, and how one that cannot be read is kept.

    `source` is the intake by which quarantine knows them; what they said in the contract's words is known by its own.
    """

    source: str
    read: Callable[[object], Record | Link | None]
    kept: Callable[[object], object]


def record_messages(
    store: Store, view: StorefrontView, messages: Sequence[object], dialect: Dialect, received: Micros
) -> Receipt:
    """What became of each message; the rejections carry its place."""
    exposures: list[tuple[int, bytes]] = []
    conversions: list[tuple[int, bytes]] = []
    whole: list[tuple[int, Record]] = []
    links: dict[Link, None] = {}  # each once, in order: of several customers the first counts
    rejected: list[Rejection] = []
    for index, message in enumerate(messages):
        try:
            found = dialect.read(message)
            if isinstance(found, Link):
                links[found] = None
            elif found is not None and found.get("type") == "refund" and "amount" not in found:
                whole.append((index, found))
            elif found is not None:
                (conversions if "type" in found else exposures).append((index, orjson.dumps(found)))
        except Invalid as refusal:
            rejected.append(Rejection(index, refusal.code, refusal.message, refusal.errors))
        except TypeError as error:  # half a surrogate pair, an integer beyond 64 bits
            rejected.append(Rejection(index, Malformed.code, str(error)))
    total = Receipt()
    for link in links:
        total += link_recording(view, link.visitor_id, link.customer_id, received).write(store.writer)
    total += _placed(exposures, lambda raws: record_exposures(
        store.writer, view, raws, received, source=store.source("exposures")))  # fmt: skip
    total += _converted(store, view, conversions, received)
    # what a whole order brought is known once the orders of the same batch are there
    priced, unknown = _priced(store.engine, view, whole)
    total += _converted(store, view, priced, received)
    unread = (*rejected, *unknown)
    if store.quarantines and unread:
        refused = [Refused(dialect.source, _bytes(dialect.kept(messages[r.index])), r.code, r.message) for r in unread]
        quarantine(store.writer, view, refused, received)
    return total + Receipt(rejected=unread)


def _bytes(kept: object) -> bytes:
    """A message as quarantine holds it; what no JSON can say, as Python shows it."""
    try:
        return msgspec.json.encode(kept)
    except (TypeError, UnicodeEncodeError, RecursionError):
        return repr(kept)[:1000].encode("ascii", "backslashreplace")


def _converted(store: Store, view: StorefrontView, events: Sequence[tuple[int, bytes]], received: Micros) -> Receipt:
    source = store.source("conversions")
    return _placed(events, lambda raws: record_conversions(store.writer, view, raws, received, new_id, source=source))


def _placed(events: Sequence[tuple[int, bytes]], record: Callable[[Sequence[bytes]], Receipt]) -> Receipt:
    """Records the events; the rejections by their place in the batch."""
    receipt = record([raw for _, raw in events]) if events else Receipt()
    placed = tuple(replace(r, index=events[r.index][0]) for r in receipt.rejected)
    return replace(receipt, rejected=placed)


def _priced(
    engine: Engine, view: StorefrontView, whole: Sequence[tuple[int, Record]]
) -> tuple[list[tuple[int, bytes]], tuple[Rejection, ...]]:
    """Refunds of whole orders with what is left of them; those of orders that nobody knows are refused."""
    if not whole:
        return [], ()
    with reading(engine) as conn:
        left = remainders(conn, view.storefront.id, {str(found["order_id"]) for _, found in whole})
    priced, unknown = [], []
    for index, found in whole:
        rest = left.get(str(found["order_id"]))
        if rest is None:
            order = repr(found["order_id"])
            why = worded("there is no order %(order)s yet whose revenue could be given back", order=order)
            unknown.append(Rejection(index, "unknown_order", f"order_id: {why}"))
        else:
            amount = {"amount": to_decimal(rest.amount, rest.currency), "currency": rest.currency}
            try:
                priced.append((index, orjson.dumps(found | amount)))
            except TypeError as error:
                unknown.append(Rejection(index, Malformed.code, str(error)))
    return priced, tuple(unknown)
