"""Why a visitor saw this: each rule of the placement, with each gate passed or not, told from what the rules decided.

Nothing is decided here again. The gates stand in one order, so that the reason a rule gave says which gate it fell at;
the others before it were passed, and those behind it were never asked.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from experiments.assignment import NO_BUCKET, Assignment, Reason, Rule, Trace, Unit, in_time
from experiments.moment import Micros, iso

DOORS: dict[str, Reason] = {"kill_switch": "forced", "bot": "bot", "consent": "no_consent"}
"""What stands before all rules of a placement, and the reason that it gives."""
GATES: dict[str, Reason] = {
    "schedule": "not_running",
    "holdout": "holdout",
    "targeting": "not_targeted",
    "layer": "layer_excluded",
    "coverage": "not_in_coverage",
    "eligibility": "not_eligible",
}
"""What a rule asks, in order, and the reason that it gives."""


def explain(
    rules: Sequence[Rule], trace: Trace, made: Assignment, unit: Unit, now: Micros, *, held_out: bool
) -> list[dict[str, Any]]:
    """The doors of the storefront, then each rule in the order of priority; those behind the deciding one too."""
    shut = _shut(made)
    steps = [{"experiment": None, "reason": made.reason if shut else None, "gates": _doors(shut)}]
    if made.reason == "preview" and made.rule is not None:
        return [*steps, _step(made.rule, made, unit, now, held_out=held_out)]
    tried = {id(step.rule): step for step in trace}
    return [*steps, *(_step(rule, tried.get(id(rule)), unit, now, held_out=held_out) for rule in rules)]


def _shut(made: Assignment) -> str | None:
    return next((door for door, reason in DOORS.items() if made.rule is None and reason == made.reason), None)


def _doors(shut: str | None) -> list[dict[str, Any]]:
    why = {
        "kill_switch": "the placement is paused: everyone sees no offer",
        "bot": "the user agent is on the list of bots",
        "consent": "there is no consent, or Sec-GPC says no",
    }
    gates = []
    for door in DOORS:
        gates.append({"gate": door, "passed": door != shut, "why": why[door] if door == shut else "open"})
        if door == shut:
            break
    return gates


def _step(rule: Rule, tried: Assignment | None, unit: Unit, now: Micros, *, held_out: bool) -> dict[str, Any]:
    step: dict[str, Any] = {
        "experiment": rule.definition.key,
        "state": rule.state,
        "reason": tried.reason if tried else None,
        "variant": tried.variant.key if tried and tried.variant else None,
        "gates": [],
    }
    if tried is None:
        return step | {"why": "not asked: the answer was known before"}
    if tried.reason in {"forced", "preview"}:
        return step | {"why": "the allow-list" if tried.reason == "forced" else "a preview link"}
    return step | {"gates": list(_gates(rule, tried, unit, now, held_out=held_out))}


def _gates(rule: Rule, tried: Assignment, unit: Unit, now: Micros, *, held_out: bool) -> Iterator[dict[str, Any]]:
    asked = ("holdout", "eligibility") if rule.winner else tuple(GATES)
    if held_out:
        asked = ("holdout",)
    for gate in asked:
        fell = GATES[gate] == tried.reason
        if fell and gate == "schedule" and rule.state == "closed" and in_time(rule, now):
            # a closed experiment asks last of all who is inside
            for passed in ("schedule", "holdout", "targeting", "layer", "coverage"):
                yield {"gate": passed, "passed": True, "why": _why(passed, rule, tried, unit, now)}
            yield {"gate": "inside", "passed": False, "why": "closed to new units, and this one was not inside"}
            return
        yield {"gate": gate, "passed": not fell, "why": _why(gate, rule, tried, unit, now)}
        if fell:
            return


def _why(gate: str, rule: Rule, tried: Assignment, unit: Unit, now: Micros) -> str:
    unit_id = rule.unit_id(unit)
    match gate:
        case "schedule":
            times = [("from", rule.starts_at), ("until", rule.ends_at)]
            return " ".join([rule.state, *(f"{word} {iso(at)}" for word, at in times if at is not None)])
        case "holdout":
            return "in the storefront's holdout" if tried.reason == "holdout" else "not in the storefront's holdout"
        case "targeting":
            if unit_id is None:
                return "the unit is the customer, and no customer_id was given"
            return "everyone" if rule.condition is None else "matches" if tried.reason != "not_targeted" else "no match"
        case "layer":
            if rule.layer is None or unit_id is None:
                return "in no layer"
            return f"bucket {rule.layer(unit_id)}; holds {rule.layer_range.start} to {rule.layer_range.stop}"
        case "coverage":
            bucket = rule.bucketer(unit_id or "")
            place = rule.table_at(now)[bucket]
            part = "outside" if place == NO_BUCKET else f"the part of {rule.definition.variants[place].key}"
            return f"bucket {bucket} is {part}; coverage is {rule.coverage_at(now) / 100:g}%"
    refused = [
        f"{variant}: {refusal.code} {refusal.product_id or ''}".strip() for variant, refusal in tried.refusals.items()
    ]
    return "; ".join(refused) or "every variant could be shown"
