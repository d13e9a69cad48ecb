"""What of a started experiment may still change: nothing that decides who sees what, or how the result is read."""

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.definition import Definition, to_json
from experiments.errors import FieldError
from experiments.lifecycle import State
from experiments.moment import SECOND, Micros, micros
from experiments.wording import worded

FREE = frozenset({"name", "hypothesis", "about", "schedule"})
"""What may change while it runs; of the schedule its end, and how its coverage grows."""

LOCKED: Mapping[str, str] = {
    "key": worded("links and events use it"),
    "placement": worded("those inside would meet their offer elsewhere"),
    "variants": worded("the numbers before and after would be about two different things"),
    "unit": worded("those inside would be drawn anew"),
    "coverage": worded("it can only grow, by a step of the ramp: less would throw out who is inside"),
    "layer": worded("its visitors would be shared with another experiment"),
    "targeting": worded("who is inside would no longer be who was compared"),
    "metrics": worded("they are fixed before the start, so that nobody picks them by the result"),
    "analysis": worded("the reading is fixed before the start, so that nobody picks it by the result"),
    "rule": worded("it is fixed before the start, so that nobody picks it by the result"),
    "allow_list": worded("who is inside would be shown another variant"),
    "saved_offers": worded("its variants keep the offers that they took"),
    "saved_metrics": worded("it keeps the metrics as they were when it started"),
    "schedule.start_at": worded("it has started"),
}
"""What may not, and why; each has a safe way: a new experiment, made by duplicating this one."""


def check_amendment(before: Definition, then: Definition, state: State, now: Micros) -> list[FieldError]:
    """What of the change is not allowed, each with its reason; empty where all of it is."""
    old, new = to_json(before), to_json(then)
    errors = [
        FieldError(name, worded("cannot change any more: %(reason)s", reason=reason))
        for name, reason in LOCKED.items()
        if name in old and old[name] != new[name]
    ]
    return [*errors, *_check_schedule(before, then, state, now)]


def _check_schedule(before: Definition, then: Definition, state: State, now: Micros) -> Iterator[FieldError]:
    old, new = before.schedule, then.schedule
    if new.start_at != old.start_at:
        if state != "scheduled":
            yield FieldError(
                "schedule.start_at", worded("cannot change any more: %(reason)s", reason=LOCKED["schedule.start_at"])
            )
        elif new.start_at is None or micros(new.start_at) <= now:
            yield FieldError("schedule.start_at", worded("must be still to come; to start at once, start it"))
    if new.end_at != old.end_at and new.end_at is not None and micros(new.end_at) <= now:
        yield FieldError("schedule.end_at", worded("is in the past: to end it now, stop it"))
    taken = [step for step in old.ramp if micros(step.at) <= now]
    if list(new.ramp[: len(taken)]) != taken:
        yield FieldError("schedule.ramp", worded("cannot change in the steps that were taken"))
    for index, step in enumerate(new.ramp[len(taken) :], len(taken)):
        if now - micros(step.at) >= SECOND:  # a step of now is written in whole seconds
            yield FieldError(f"schedule.ramp[{index}].at", worded("is in the past"))


def with_step(definition: Definition, coverage: int, at: str, now: Micros) -> dict[str, Any]:
    """The definition's JSON whose coverage is this from then on; later steps that are no growth any more fall away."""
    value = to_json(definition)
    steps = list(zip(definition.schedule.ramp, value["schedule"]["ramp"], strict=True))
    taken = [written for step, written in steps if micros(step.at) <= now]
    coming = [written for step, written in steps if micros(step.at) > now and step.coverage > coverage]
    value["schedule"]["ramp"] = [*taken, {"at": at, "coverage": coverage}, *coming]
    return value
