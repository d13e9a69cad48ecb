"""Quarantine, seen to: what was refused is tried again through the door that refused it, or let go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from experiments.errors import Invalid
from experiments.service.recording import Receipt, record_conversions, record_exposures
from experiments.service.snapshot import StorefrontView
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.quarantine import Held, drop, held

Door = Callable[[EventWriter, StorefrontView, Held], Receipt]
"""Tries one event again, without quarantining it anew; where it is not refused any more, it leaves quarantine."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of the events that were tried again, and why those that stay were refused."""

    accepted: int = 0
    duplicate: int = 0
    refused: Mapping[int, str] = field(default_factory=dict)


def _exposure(writer: EventWriter, view: StorefrontView, event: Held) -> Receipt:
    return record_exposures(writer, view, [event.body], event.received_at, source=None)


def _conversion(writer: EventWriter, view: StorefrontView, event: Held) -> Receipt:
    # Its id in quarantine is the id that it never had: replaying it twice counts it once.
    return record_conversions(
        writer, view, [event.body], event.received_at, lambda: f"quarantine-{event.id}", source=None
    )


DOORS: Mapping[str, Door] = {"exposures": _exposure, "conversions": _conversion}


def replay(
    engine: Engine, view: StorefrontView, ids: Sequence[int] | None = None, doors: Mapping[str, Door] = DOORS
) -> Replay:
    """Try quarantined events again, all or these; an event without a time of its own happened when it first came."""
    with reading(engine) as conn:
        events = [event.id for event in held(conn, view.storefront.id, ids)]
    writer = EventWriter(engine)
    accepted = duplicate = 0
    refused: dict[int, str] = {}
    for number in events:
        with reading(engine) as conn:
            event = next(held(conn, view.storefront.id, [number]), None)
        if event is None:
            continue
        reason = _hindrance(event, doors)
        if reason is None:
            receipt = doors[event.source](writer, view, event)
            accepted, duplicate = accepted + receipt.accepted, duplicate + receipt.duplicate
            reason = receipt.rejected[0].message if receipt.rejected else None
        if reason is None:
            release(engine, view, [event.id])
        else:
            refused[event.id] = reason
    return Replay(accepted, duplicate, refused)


def _hindrance(event: Held, doors: Mapping[str, Door]) -> str | None:
    if not event.whole:
        return "only its beginning was kept"
    return None if event.source in doors else f"nothing here reads {event.source}"


def release(engine: Engine, view: StorefrontView, ids: Sequence[int] | None) -> int:
    """Let events go, all or these; how many there were."""
    if ids is not None and not ids:
        raise Invalid.at("id", "names no event")
    with writing(engine) as conn:
        return drop(conn, view.storefront.id, ids)
