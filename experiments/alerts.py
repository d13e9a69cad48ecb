"""Alerts: what the watch tells people of an experiment, once for each condition, and when it may tell it again."""

from dataclasses import dataclass
from typing import Literal, get_args

from experiments.definition import Definition
from experiments.lifecycle import MEASURING, State
from experiments.moment import DAY, Micros, micros
from experiments.wording import figure, worded

AlertKind = Literal[
    "started", "no_exposures", "no_conversions", "sample_ratio_mismatch", "guardrail_breached", "target_reached",
    "ended", "auto_paused",
]  # fmt: skip
KINDS: tuple[AlertKind, ...] = get_args(AlertKind)

ACTOR = "offerlab"
"""Who watches, and pauses an experiment by its own conditions, as the trail names it."""
NEEDS_SOMEBODY: frozenset[AlertKind] = frozenset(KINDS) - {"started", "ended"}
"""Kinds that ask for something to be done, as long as the experiment still measures; the others are news."""
TOLD_WITHIN = 7 * DAY
"""A start or an end that the watch learns of later than this is no news any more."""
QUIET = DAY
"""So long nothing may come before it is an alert."""
EXPECTED = 10.0
"""Units that must have been missed for a silence to be one: at a steady rate chance does that once in 20,000."""
FEWEST = 300
"""Units of whom at least one will have ordered where orders reach us: at 2% conversion, but for once in 400."""

SAID: dict[AlertKind, str] = {
    "started": worded("It has started."),
    "no_exposures": worded("No new visitor reaches it."),
    "no_conversions": worded("Visitors come, but what they do does not reach us."),
    "sample_ratio_mismatch": worded("Visitors are not split as planned: do not read its effects."),
    "guardrail_breached": worded("A guardrail is breached."),
    "target_reached": worded("It has reached what it was planned for."),
    "ended": worded("It has ended."),
    "auto_paused": worded("It was paused by itself: everyone sees no offer."),
}
"""Each kind in a plain sentence."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so now: its kind, what it is about where there can be several, and the facts in words."""

    kind: AlertKind
    about: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """New units as they reached us: how many, the first and the last of them."""

    units: int = 0
    first_at: Micros | None = None
    last_at: Micros | None = None


def news(started_at: Micros | None, stopped_at: Micros | None, now: Micros) -> list[Condition]:
    """Its start and its end, where they are not long past; a draft that was put away has neither."""
    found = []
    if started_at is not None and now - started_at < TOLD_WITHIN:
        found.append(Condition("started"))
    if started_at is not None and stopped_at is not None and now - stopped_at < TOLD_WITHIN:
        found.append(Condition("ended"))
    return found


def over(kind: AlertKind, state: State) -> bool:
    """Whether an alert of this kind is settled by the state alone, and may be raised again later.

    Silence matters only while visitors can come, missing orders while they count, and a pause until somebody resumes.
    What was shown of the split, a guardrail or the target stays shown; a start and an end happen once.
    """
    if kind == "no_exposures":
        return state != "running"
    if kind == "no_conversions":
        return state not in MEASURING
    return kind == "auto_paused" and state != "paused"


def open_from(definition: Definition, started_at: Micros) -> Micros | None:
    """From when on its coverage let anybody in, None where it does not by its schedule."""
    if definition.coverage > 0:
        return started_at
    step = next((step for step in definition.schedule.ramp if step.coverage > 0), None)
    return None if step is None else Micros(max(started_at, micros(step.at)))


def silent(came: Arrivals, since: Micros, now: Micros) -> Condition | None:
    """The condition that nobody new comes: for a day, and so long that at its own rate many were to be expected.

    `since` is when units could come again: the start, or the last time that somebody opened a way for them.
    """
    heard = since if came.last_at is None else max(since, came.last_at)
    quiet = now - heard
    if quiet < QUIET:
        return None
    hours = figure(f"{quiet * 24 // DAY:,}")
    if came.last_at is None or came.first_at is None:
        return Condition("no_exposures", detail=worded("Not one visitor has met it in %(hours)s h.", hours=hours))
    rate = came.units / max((came.last_at - came.first_at) / DAY, 1.0)
    if rate * quiet / DAY < EXPECTED:
        return None
    said = worded(
        "No new visitor in %(hours)s h, after about %(rate)s a day before.", hours=hours, rate=figure(f"{rate:,.0f}")
    )
    return Condition("no_exposures", detail=said)


def unheard(came: Arrivals, told: bool, now: Micros) -> Condition | None:
    """The condition that units come and the storefront has sent no conversion at all since the first of them."""
    if told or came.first_at is None or now - came.first_at < QUIET:
        return None
    detail = worded(
        "%(units)s visitors in %(hours)s h, and no order or other conversion.",
        units=figure(f"{came.units:,}"), hours=figure(f"{(now - came.first_at) * 24 // DAY:,}"),
    )  # fmt: skip
    return Condition("no_conversions", detail=detail)


def unmatched(units: int, orders: float, days: float) -> Condition | None:
    """The condition that conversions come, and not one order is of a unit of so many: the ids do not fit."""
    if orders > 0 or units < FEWEST or days * DAY < QUIET:
        return None
    detail = worded(
        "%(units)s visitors have met it, and no order is from any of them: are the visitors' ids the same?",
        units=figure(f"{units:,}"),
    )
    return Condition("no_conversions", detail=detail)
