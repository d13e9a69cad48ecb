"""The states of an experiment and the ways between them.

draft -> (scheduled ->) running <-> closed -> stopped -> decided -> archived; running <-> paused.
"""

from typing import Literal

from experiments.errors import Conflict
from experiments.wording import Listed, Term, worded

State = Literal["draft", "scheduled", "running", "closed", "paused", "stopped", "decided", "archived"]
Action = Literal[
    "edit",
    "review",
    "amend",
    "start",
    "schedule",
    "unschedule",
    "close",
    "reopen",
    "pause",
    "resume",
    "stop",
    "decide",
    "archive",
]

TRANSITIONS: dict[Action, dict[State, State]] = {
    "edit": {"draft": "draft"},
    "review": {"draft": "draft"},
    "amend": {"scheduled": "scheduled", "running": "running", "closed": "closed", "paused": "paused"},
    "start": {"draft": "running", "scheduled": "running"},
    "schedule": {"draft": "scheduled"},
    "unschedule": {"scheduled": "draft"},
    "close": {"running": "closed"},
    "reopen": {"closed": "running"},
    "pause": {"running": "paused"},
    "resume": {"paused": "running"},
    "stop": {"running": "stopped", "closed": "stopped", "paused": "stopped"},
    "decide": {"stopped": "decided"},
    "archive": {"draft": "archived", "stopped": "archived", "decided": "archived"},
}

SERVING: frozenset[State] = frozenset({"running", "closed"})
"""States in which visitors meet their variant."""
MEASURING: frozenset[State] = frozenset({"running", "closed", "paused"})
"""States in which exposures and conversions still count."""


def after(state: State, action: Action) -> State:
    """The state that `action` leads to; Conflict where `state` does not allow it."""
    ways = TRANSITIONS[action]
    if state not in ways:
        allowed = Listed([Term("state", way) for way in sorted(ways)], worded(" or "))
        said = worded(
            "Cannot %(action)s an experiment that is %(state)s; it must be %(allowed)s",
            action=Term("action", action), state=Term("state", state), allowed=allowed,
        )  # fmt: skip
        raise Conflict("wrong_state", said)
    return ways[state]


def allowed(state: State) -> list[Action]:
    """What can be done with an experiment in this state."""
    return [action for action, ways in TRANSITIONS.items() if state in ways]


def possible(state: State) -> list[str]:
    """What people can do: the allowed, times and coverage while it lives, and a copy at any time."""
    can: list[str] = list(allowed(state))
    if "amend" in can:
        can += ["schedule", "ramp"]
    return [*dict.fromkeys(can), "duplicate"]
