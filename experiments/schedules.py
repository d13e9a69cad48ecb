"""An experiment's own times: written in the storefront's zone or with any offset, kept exactly, due when they come."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from experiments.definition import Schedule
from experiments.errors import FieldError, Invalid
from experiments.lifecycle import State
from experiments.moment import Micros, micros
from experiments.wording import worded


def in_zone(value: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """An experiment's JSON whose times without an offset are given the storefront's.

    Invalid where the clock shows such a time twice that night, or never.
    """
    schedule = value.get("schedule")
    if not isinstance(schedule, Mapping):
        return dict(value)
    errors: list[FieldError] = []
    dated = {**schedule}
    for name in ("start_at", "end_at"):
        if name in schedule:
            dated[name] = _aware(schedule[name], zone, f"schedule.{name}", errors)
    if isinstance(ramp := schedule.get("ramp"), list):
        dated["ramp"] = [
            {**step, "at": _aware(step["at"], zone, f"schedule.ramp[{i}].at", errors)}
            if isinstance(step, Mapping) and "at" in step
            else step
            for i, step in enumerate(ramp)
        ]
    if errors:
        raise Invalid(errors)
    return {**value, "schedule": dated}


def _aware(given: object, zone: ZoneInfo, field: str, errors: list[FieldError]) -> object:
    if not isinstance(given, str):
        return given
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        return given  # the door says what is wrong with it
    if moment.tzinfo is not None:
        return given
    early, late = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early.isoformat()
    back = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    said = (
        worded("%(time)s comes twice in %(zone)s, as the clocks change: write its offset", time=given, zone=zone.key)
        if back == moment
        else worded(
            "%(time)s does not exist in %(zone)s, as the clocks change: write its offset", time=given, zone=zone.key
        )
    )
    errors.append(FieldError(field, said))
    return given


def times_json(schedule: Schedule, zone: ZoneInfo) -> dict[str, Any]:
    """Each time of the schedule in UTC and on the storefront's clock."""

    def both(moment: datetime | None) -> dict[str, str] | None:
        if moment is None:
            return None
        return {
            "utc": moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "local": moment.astimezone(zone).isoformat(),
        }

    return {
        "timezone": zone.key,
        "start_at": both(schedule.start_at),
        "end_at": both(schedule.end_at),
        "ramp": [{"at": both(step.at), "coverage": step.coverage} for step in schedule.ramp],
    }


def due_action(state: State, schedule: Schedule, now: Micros) -> Literal["start", "stop"] | None:
    """What the schedule asks for now; None where nothing is due."""
    if state == "scheduled" and schedule.start_at is not None and micros(schedule.start_at) <= now:
        return "start"
    over = schedule.end_at is not None and micros(schedule.end_at) <= now
    return "stop" if over and state in {"running", "closed", "paused"} else None
