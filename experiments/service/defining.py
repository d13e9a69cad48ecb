"""Defining: what PMs do with experiments, each change with its line in the audit trail."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from experiments.amending import FREE, LOCKED, check_amendment, with_step
from experiments.catalogue import Product
from experiments.definition import Definition, parse, to_json
from experiments.errors import Conflict, FieldError, Invalid
from experiments.identifiers import check_key
from experiments.lifecycle import MEASURING, Action, after
from experiments.moment import SECOND, Micros, iso, micros
from experiments.offers import Upsell, products_named
from experiments.schedules import due_action, in_zone
from experiments.service.layering import check_layer, check_room, with_part
from experiments.service.library import check_fit, still_saved, with_saved
from experiments.service.measuring import with_metrics
from experiments.service.reviewing import check_approved, check_stays_approved
from experiments.storage.audiences import audiences
from experiments.storage.drafts import draft_of
from experiments.storage.products import read_products
from experiments.storage.registry import (
    AuditEntry,
    Experiment,
    add_experiment,
    experiments,
    get_experiment,
    holdback_of,
    replace_definition,
    set_state,
    write_audit,
)
from experiments.storage.storefronts import (
    Placement,
    Storefront,
    add_placement,
    all_storefronts,
    bump_revision,
    placements,
)
from experiments.wording import worded


def create(
    conn: Connection, storefront: Storefront, value: object, actor: str, now: Micros, follows: str | None = None
) -> Experiment:
    """A new draft; Invalid lists every broken rule, Conflict says that the key is taken.

    `follows` is the key of the decided experiment whose winner it goes on measuring.
    """
    definition = _checked(conn, storefront, value)
    _ensure_placement(conn, storefront, definition.placement, now)
    created = add_experiment(conn, storefront.id, definition, now, follows)
    _audit(conn, created, actor, "create", None, to_json(definition), now)
    bump_revision(conn)
    return created


def edit(conn: Connection, storefront: Storefront, key: str, value: object, actor: str, now: Micros) -> Experiment:
    """The next version of a draft; Conflict where it is no draft any more."""
    before = get_experiment(conn, storefront.id, key)
    after(before.state, "edit")
    definition = _checked(conn, storefront, value)
    if definition.key != key:
        raise Invalid.at(
            "key",
            worded(
                "cannot change from %(key)s: links and events use it; duplicate the experiment instead", key=repr(key)
            ),
        )
    _ensure_placement(conn, storefront, definition.placement, now)
    edited = replace_definition(conn, before, definition)
    _audit(conn, edited, actor, "edit", to_json(before.definition), to_json(definition), now)
    bump_revision(conn)
    return edited


def amend(
    conn: Connection, storefront: Storefront, key: str, changes: Mapping[str, Any], actor: str, now: Micros
) -> Experiment:
    """A started experiment with what is safe to change changed; Invalid names what is not, and why.

    What is not given stays, in the schedule too.
    """
    before = get_experiment(conn, storefront.id, key)
    after(before.state, "amend")
    unknown = [
        FieldError(n, worded("is no part of an experiment")) for n in changes if n not in FREE and n not in LOCKED
    ]
    if unknown:
        raise Invalid(unknown)
    value = to_json(before.definition) | dict(changes)
    if isinstance(given := changes.get("schedule"), Mapping):
        value["schedule"] = to_json(before.definition)["schedule"] | dict(given)
    return _amended(conn, storefront, before, value, actor, now)


def ramp(conn: Connection, storefront: Storefront, key: str, coverage: int, actor: str, now: Micros) -> Experiment:
    """A started experiment whose coverage is this from now on: more than before, and nobody moves."""
    before = get_experiment(conn, storefront.id, key)
    after(before.state, "amend")
    return _amended(
        conn,
        storefront,
        before,
        with_step(before.definition, coverage, iso(Micros(now - now % SECOND)), now),
        actor,
        now,
        "ramp",
    )


def schedule(
    conn: Connection, storefront: Storefront, key: str, times: Mapping[str, Any], actor: str, now: Micros
) -> Experiment:
    """A draft that starts by itself at `start_at`; of a started experiment its end."""
    before = get_experiment(conn, storefront.id, key)
    if before.state != "draft":
        return amend(conn, storefront, key, {"schedule": dict(times)}, actor, now)
    value = to_json(before.definition)
    value["schedule"] |= dict(times)
    edit(conn, storefront, key, value, actor, now)
    planned = get_experiment(conn, storefront.id, key).definition.schedule.start_at
    if planned is None or micros(planned) <= now:
        raise Invalid.at("schedule.start_at", worded("must be still to come; to start at once, start it"))
    return start(conn, storefront, key, actor, now)


def check_editable(conn: Connection, storefront: Storefront, key: str) -> None:
    """Conflict where it is no draft any more, NotFound where there is none."""
    after(get_experiment(conn, storefront.id, key).state, "edit")


def start(conn: Connection, storefront: Storefront, key: str, actor: str, now: Micros) -> Experiment:
    """Running from now on, or scheduled where the definition's start is still to come."""
    before = get_experiment(conn, storefront.id, key)
    if before.state == "draft" and draft_of(conn, storefront.id, key) is not None:
        raise Conflict(
            "unfinished", worded("%(key)s has changes that are not finished: save or discard them first", key=repr(key))
        )
    after(before.state, "start")
    check_startable(conn, storefront, before.definition, now)
    if before.follows is None:  # what a holdback shows was approved, and shipped
        check_approved(conn, storefront, before)
    start_at = before.definition.schedule.start_at
    early = start_at is not None and micros(start_at) > now
    if before.state == "draft" and early:
        return _change(conn, before, "schedule", actor, now)
    if early:
        before = _without_start(conn, before, actor, now)
    return _change(conn, before, "start", actor, now, started_at=now)


def act(
    conn: Connection, storefront: Storefront, key: str, action: Action, actor: str, now: Micros, reason: str = ""
) -> Experiment:
    """Close, reopen, pause, resume, unschedule, stop or archive; Conflict where the state forbids it."""
    before = get_experiment(conn, storefront.id, key)
    if action == "archive":
        _check_not_held_back(conn, before)
    values = {"stopped_at": now} if action == "stop" else {}
    return _change(conn, before, action, actor, now, reason, **values)


def decide(
    conn: Connection, storefront: Storefront, key: str, variant: str | None, reason: str, actor: str, now: Micros,
    also: Mapping[str, Any] = MappingProxyType({}),
) -> Experiment:  # fmt: skip
    """Close the case: ship a variant to everyone, or none; with the reason, for whoever asks later.

    `also` is what else stays with the decision.
    """
    before = get_experiment(conn, storefront.id, key)
    if variant is not None and before.definition.variant(variant) is None:
        raise Invalid.at(
            "variant", worded("%(key)s is not a variant of %(experiment)s", key=repr(variant), experiment=repr(key))
        )
    decision = {"decision": "ship" if variant else "do_not_ship", "variant": variant, "reason": reason, "by": actor}
    if before.follows is not None:
        _give_way(conn, storefront, before.follows, actor, now)
    return _change(conn, before, "decide", actor, now, decided_at=now, decision=decision | dict(also))


def duplicate(conn: Connection, storefront: Storefront, key: str, new_key: str, actor: str, now: Micros) -> Experiment:
    """A new draft with everything but the dates and the seed."""
    errors = check_key(new_key)
    if errors:
        raise Invalid(errors)
    original = get_experiment(conn, storefront.id, key)
    copied: dict[str, Any] = to_json(original.definition) | {"key": new_key}
    copied["schedule"] = {"pause_when": copied["schedule"]["pause_when"]}
    copied["saved_offers"] = still_saved(conn, storefront.id, original.definition.saved_offers)
    return create(conn, storefront, copied, actor, now)


def due(conn: Connection, now: Micros) -> int:
    """Write what the schedules ask for by now, as the actor "schedule": how many experiments started or stopped.

    Doing it again changes nothing; whoever steers one of them at the same moment goes first.
    """
    written = 0
    for storefront in all_storefronts(conn):
        for experiment in experiments(conn, storefront.id):
            schedule = experiment.definition.schedule
            action = due_action(experiment.state, schedule, now)
            if action is None:
                continue
            # the state begins when it was meant to, not when somebody came to write it down
            planned = schedule.start_at if action == "start" else schedule.end_at
            at = micros(planned) if planned is not None else now
            values = {"started_at": at} if action == "start" else {"stopped_at": at}
            try:
                _change(conn, experiment, action, "schedule", now, "", **values)
            except Conflict:
                continue
            written += 1
    return written


def _without_start(conn: Connection, before: Experiment, actor: str, now: Micros) -> Experiment:
    """Started by hand before its time: a start still to come would be no true one, and forbid a ramp till then."""
    unplanned = replace(before.definition.schedule, start_at=None)
    changed = replace_definition(conn, before, replace(before.definition, schedule=unplanned))
    _audit(conn, changed, actor, "amend", to_json(before.definition), to_json(changed.definition), now)
    return changed


def _amended(
    conn: Connection,
    storefront: Storefront,
    before: Experiment,
    value: Mapping[str, Any],
    actor: str,
    now: Micros,
    action: str = "amend",
) -> Experiment:
    then = parse(in_zone(value, storefront.zone), audiences=audiences(conn, storefront.id))
    errors = check_amendment(before.definition, then, before.state, now)
    if errors:
        raise Invalid(errors)
    check_stays_approved(conn, storefront, before, then)
    amended = replace_definition(conn, before, then)
    _audit(conn, amended, actor, action, to_json(before.definition), to_json(then), now)
    bump_revision(conn)
    return amended


def _checked(conn: Connection, storefront: Storefront, value: object) -> Definition:
    if isinstance(value, Mapping):
        value = with_saved(conn, storefront.id, with_part(conn, storefront, in_zone(value, storefront.zone)))
        value = with_metrics(conn, storefront.id, value)
    definition = parse(value, audiences=audiences(conn, storefront.id))
    check_layer(conn, storefront, definition)
    known = _products_named(conn, storefront, definition)
    errors = [
        FieldError(
            f"variants[{index}].offer.pairs",
            worded("%(target)s is no dearer than %(base)s: that is no upsell", target=repr(target), base=repr(base)),
        )
        for index, variant in enumerate(definition.variants)
        if isinstance(variant.offer, Upsell)
        for base, target in variant.offer.pairs.items()
        if base in known and target in known and known[target].price <= known[base].price
    ]
    errors += check_fit(conn, storefront.id, definition)
    if errors:
        raise Invalid(errors)
    return definition


def _products_named(conn: Connection, storefront: Storefront, definition: Definition) -> dict[str, Product]:
    named = {product for variant in definition.variants for _, product in products_named(variant.offer)}
    return {p.product_id: p for p in read_products(conn, storefront.id, sorted(named))}


def check_startable(conn: Connection, storefront: Storefront, definition: Definition, now: Micros) -> None:
    """Invalid or Conflict where it could not start now: what nobody could be shown, an end that is past, no room."""
    known = _products_named(conn, storefront, definition)
    errors = [
        FieldError(
            f"variants[{index}].offer.{name}",
            worded("%(product)s is not in the catalogue: nobody could be shown it", product=repr(product)),
        )
        for index, variant in enumerate(definition.variants)
        for name, product in dict.fromkeys(products_named(variant.offer))
        if product not in known
    ]
    errors += check_fit(conn, storefront.id, definition)  # the placement may have moved since it was saved
    end_at = definition.schedule.end_at
    if end_at is not None and micros(end_at) <= now:
        errors.append(FieldError("schedule.end_at", worded("is in the past: the experiment would end at once")))
    if errors:
        raise Invalid(errors)
    check_room(conn, storefront, definition)


def _give_way(conn: Connection, storefront: Storefront, followed: str, actor: str, now: Micros) -> None:
    """What was shipped with a holdback is decided anew by it, and is no winner of its own any more."""
    winner = get_experiment(conn, storefront.id, followed)
    if winner.state == "decided":
        _change(conn, winner, "archive", actor, now)


def _check_not_held_back(conn: Connection, experiment: Experiment) -> None:
    measuring = holdback_of(conn, experiment.storefront_id, experiment.key)
    if measuring is not None and measuring.state in MEASURING:
        said = worded("%(key)s still measures whether it lasts: stop that first", key=repr(measuring.key))
        raise Conflict("holdback_running", said)


def _ensure_placement(conn: Connection, storefront: Storefront, key: str, now: Micros) -> None:
    if all(existing.key != key for existing in placements(conn, storefront.id)):
        add_placement(conn, storefront.id, Placement(key, key, None), now)


def _change(
    conn: Connection, before: Experiment, action: Action, actor: str, now: Micros, reason: str = "", **values: object
) -> Experiment:
    changed = set_state(conn, before, after(before.state, action), **values)
    then = {"state": changed.state} | _plain(values) | ({"reason": reason} if reason else {})
    _audit(conn, changed, actor, action, {"state": before.state}, then, now)
    bump_revision(conn)
    return changed


def _plain(values: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if name == "decision"}


def _audit(
    conn: Connection, experiment: Experiment, actor: str, action: str, before: object, then: object, now: Micros
) -> None:
    entry = AuditEntry(now, actor, action, f"experiment:{experiment.key}", before, then)
    write_audit(conn, experiment.storefront_id, entry)
