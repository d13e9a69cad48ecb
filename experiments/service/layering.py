"""Layers: making them, and giving experiments their part."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from experiments.definition import WHOLE, Definition
from experiments.errors import Conflict, Invalid
from experiments.layers import Hold, Layer, fitting_range, free_ranges, free_share, overlapping, parse_layer
from experiments.moment import Micros
from experiments.storage.layers import CLAIMING, HOLDING, add_layer, holds, layers
from experiments.storage.registry import AuditEntry, experiments, write_audit
from experiments.storage.storefronts import Storefront, bump_revision
from experiments.wording import Listed, figure, worded


def create_layer(conn: Connection, storefront: Storefront, value: object, actor: str, now: Micros) -> Layer:
    """A new layer, all of it free; Conflict where its key is taken.

    Its seed is made of its key, and is none that an experiment's key could be.
    """
    given = parse_layer(value)
    made = Layer(given.key, given.name or given.key, given.unit, f"layer/{given.key}")
    add_layer(conn, storefront.id, made, now)
    then = {"name": made.name, "unit": made.unit}
    write_audit(conn, storefront.id, AuditEntry(now, actor, "create", f"layer:{made.key}", None, then))
    bump_revision(conn)
    return made


def with_part(conn: Connection, storefront: Storefront, value: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's JSON whose layer, where only its key is given, becomes the part that the experiment needs.

    That is as long as its coverage, all of which then enters; without a coverage it is the longest free part.
    """
    named = value.get("layer")
    key = named.get("key") if isinstance(named, Mapping) and named.keys() == {"key"} else named
    if not isinstance(key, str):
        return dict(value)
    schedule = value.get("schedule")
    if isinstance(schedule, Mapping) and schedule.get("ramp"):
        raise Invalid.at("layer", worded("needs its start and end where the coverage grows: the part must not move"))
    coverage = value.get("coverage", WHOLE)
    if not isinstance(coverage, int) or not 0 < coverage <= WHOLE:
        return {**value, "layer": {"key": key, "start": 0, "end": WHOLE}}  # the door says what is wrong with it
    others = [e for e in experiments(conn, storefront.id) if e.key != value.get("key")]
    # drafts claim their part as well, so that two of them can both start; but no draft keeps a running one out
    for states in (CLAIMING, HOLDING):
        part = fitting_range(coverage, free_ranges(holds(others, states).get(key, ())))
        if part is not None:
            return {**value, "coverage": WHOLE, "layer": {"key": key, "start": part.start, "end": part.stop}}
    taken = holds(others).get(key, [])
    said = worded(
        "%(key)s has no %(share)s in one piece any more: %(holders)s",
        key=repr(key), share=_percent(coverage), holders=_who(taken),
    )  # fmt: skip
    raise Conflict("layer_full", said)


def check_layer(conn: Connection, storefront: Storefront, definition: Definition) -> None:
    """Invalid where the layer does not exist, or is for other units."""
    part = definition.layer
    if part is None:
        return
    known = layers(conn, storefront.id)
    if part.key not in known:
        raise Invalid.at(
            "layer.key",
            worded(
                "there is no layer %(key)s; there are %(known)s",
                key=repr(part.key),
                known=", ".join(known) or worded("none"),
            ),
        )
    unit = known[part.key].unit
    if unit != definition.unit:
        raise Invalid.at(
            "unit",
            worded(
                "must be %(unit)s: %(key)s keeps %(unit)ss apart, and is %(given)s",
                unit=unit,
                key=repr(part.key),
                given=definition.unit,
            ),
        )


def check_room(conn: Connection, storefront: Storefront, definition: Definition) -> None:
    """Conflict where another experiment holds a part of this one's, naming who holds what."""
    part = definition.layer
    if part is None:
        return
    check_layer(conn, storefront, definition)
    held = holds(experiments(conn, storefront.id)).get(part.key, [])
    rivals = overlapping(Hold(definition.key, part.start, part.end), held)
    if rivals:
        said = worded(
            "%(start)s to %(end)s of the layer %(key)s is not free: %(holders)s",
            start=_percent(part.start), end=_percent(part.end), key=repr(part.key), holders=_who(rivals),
        )  # fmt: skip
        raise Conflict("layer_taken", said)


def layers_json(conn: Connection, storefront: Storefront) -> list[dict[str, Any]]:
    """Every layer with who holds what, and what is free."""
    known = experiments(conn, storefront.id)
    states = {e.key: e.state for e in known}
    held = holds(known)
    return [_layer_json(layer, held.get(key, []), states) for key, layer in layers(conn, storefront.id).items()]


def _layer_json(layer: Layer, held: list[Hold], states: Mapping[str, str]) -> dict[str, Any]:
    return {
        "key": layer.key,
        "name": layer.name,
        "unit": layer.unit,
        "free": free_share(held),
        "free_ranges": [{"start": gap.start, "end": gap.stop} for gap in free_ranges(held)],
        "holds": [
            {"experiment": h.experiment, "state": states[h.experiment], "start": h.start, "end": h.end} for h in held
        ],
    }


def _percent(hundredths: int) -> str:
    return figure(f"{hundredths / 100:g}%")


def _who(held: list[Hold]) -> str:
    said = [
        worded(
            "%(key)s holds %(start)s to %(end)s", key=repr(h.experiment), start=_percent(h.start), end=_percent(h.end)
        )
        for h in held
    ]
    return Listed(said) if said else worded("nobody holds any of it")
