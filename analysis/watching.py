"""The watch: one round over everything that runs, which tells what is new of it; a step that takes the time.

Starts, ends and silence are cheap and asked each round. A report is made for those experiments whose turn it is, and
only where an event, the definition or the day changed since the last one.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from analysis import queries
from analysis.alarms import alarms
from analysis.compose import compose
from analysis.experiment import facts_of, scope_of
from analysis.journal import read_ledger
from experiments.alerts import QUIET, AlertKind, Condition, news, open_from, over, silent, unheard
from experiments.errors import OfferlabError
from experiments.lifecycle import MEASURING
from experiments.moment import SECOND, Micros, day_number
from experiments.service.alerting import Seen, tell
from experiments.storage.alerts import (
    Alert,
    arrivals,
    converted_since,
    looks,
    note_look,
    open_alerts,
    opened_at,
)
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment, experiments
from experiments.storage.storefronts import Storefront, all_storefronts, placements

log = logging.getLogger(__name__)

LOOK_EVERY = 15 * 60 * SECOND
"""No experiment is looked at closely more often."""
MOST_LOOKS = 20
"""Close looks of one round, those that waited longest first: a round ends, however many experiments run."""


@dataclass
class Watch:
    """One process's watch: the database, where people open the pages, and the definitions that it read already."""

    engine: Engine
    public_url: str = ""
    known: dict[int, Experiment] = field(default_factory=dict)

    def round(self, now: Micros, go_on: Callable[[], bool] = lambda: True) -> list[Alert]:
        """Look at what runs, and tell what is new; `go_on` is asked before each close look whether there is time."""
        told: list[Alert] = []
        due: list[tuple[Micros, str, Storefront, Experiment]] = []
        for storefront, current in self._current(now):
            told += self._tell_news(storefront, current, now)
            due += self._due(storefront, current, now)
        for _, mark, storefront, experiment in sorted(due, key=lambda one: one[0])[:MOST_LOOKS]:
            if not go_on():
                break
            told += self._look(storefront, experiment, mark, now)
        return told

    def _current(self, now: Micros) -> Iterator[tuple[Storefront, list[Experiment]]]:
        """Each storefront with what measures, and with what began or ended of late."""
        with reading(self.engine) as conn:
            found = [(one, experiments(conn, one.id, self.known)) for one in all_storefronts(conn)]
        self.known = {e.id: e for _, every in found for e in every}
        for storefront, every in found:
            yield storefront, [e for e in every if e.state in MEASURING or news(e.started_at, e.stopped_at, now)]

    def _tell_news(self, storefront: Storefront, current: Sequence[Experiment], now: Micros) -> list[Alert]:
        with reading(self.engine) as conn:
            standing = open_alerts(conn, [e.id for e in current])
        told: list[Alert] = []
        for experiment in current:
            before = standing.get(experiment.id, [])
            known = {alert.kind for alert in before}
            begun = [c for c in news(experiment.started_at, experiment.stopped_at, now) if c.kind not in known]
            seen = Seen(begun, [kind for kind in known if over(kind, experiment.state)])
            if seen.conditions or seen.over or _asks_for_a_pause(experiment, before):
                told += self._told(storefront, experiment, seen, now)
        return told

    def _due(
        self, storefront: Storefront, current: Sequence[Experiment], now: Micros
    ) -> list[tuple[Micros, str, Storefront, Experiment]]:
        measuring = [e for e in current if e.state in MEASURING and e.started_at is not None]
        with reading(self.engine) as conn:
            before = looks(conn, [e.id for e in measuring])
        found = []
        for experiment in measuring:
            at, mark = before.get(experiment.id, (Micros(0), ""))
            if now - at >= LOOK_EVERY:
                found.append((at, mark, storefront, experiment))
        return found

    def _look(self, storefront: Storefront, experiment: Experiment, before: str, now: Micros) -> list[Alert]:
        """What a close look tells; one that fails is logged, counts as a look, and keeps nobody from the others."""
        mark, seen = before, Seen()
        try:
            with reading(self.engine) as conn:
                mark, seen = look(conn, storefront, experiment, before, now)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them, the others are watched
            _say(experiment, error)
        return self._told(storefront, experiment, seen, now, mark)

    def _told(
        self, storefront: Storefront, experiment: Experiment, seen: Seen, now: Micros, mark: str | None = None
    ) -> list[Alert]:
        try:
            with writing(self.engine) as conn:
                if mark is not None:
                    note_look(conn, experiment.id, now, mark)
                return tell(conn, storefront, experiment, seen, now, self.public_url)
        except Exception as error:  # noqa: BLE001 - as above; what was not written is found again by the next look
            _say(experiment, error)
            return []


def look(
    conn: Connection, storefront: Storefront, experiment: Experiment, before: str, now: Micros
) -> tuple[str, Seen]:
    """What holds of one experiment now, and the mark of the data that says so; `before` is that of the last look.

    Where the mark is the same, so is what a report would say: only the silence, which grows by itself, is asked again.
    """
    found, settled = _arrivals(conn, storefront, experiment, now)
    mark = _mark(conn, storefront, experiment, now)
    if mark == before:
        return mark, Seen(found, settled)
    found += _alarms(conn, storefront, experiment, now)
    if all(condition.kind != "no_conversions" for condition in found):
        settled.append("no_conversions")
    return mark, Seen(found, settled)


def _arrivals(
    conn: Connection, storefront: Storefront, experiment: Experiment, now: Micros
) -> tuple[list[Condition], list[AlertKind]]:
    """Whether units come at all, where they can, and whether anything is heard of what they do."""
    came = arrivals(conn, experiment.id)
    told = came.first_at is None or converted_since(conn, storefront.id, came.first_at)
    found = [unheard(came, told, now)]
    since = _open_since(conn, storefront, experiment, now)
    if since is not None:
        found.append(silent(came, since, now))
    heard = came.last_at is not None and now - came.last_at < QUIET
    return [condition for condition in found if condition is not None], ["no_exposures"] if heard else []


def _open_since(conn: Connection, storefront: Storefront, experiment: Experiment, now: Micros) -> Micros | None:
    """Since when new units could come; None where they cannot: it lets nobody in, or its placement is switched off."""
    slot = experiment.definition.placement
    begun = None if experiment.started_at is None else open_from(experiment.definition, experiment.started_at)
    if experiment.state != "running" or begun is None or begun > now:
        return None
    if any(placement.paused and placement.key == slot for placement in placements(conn, storefront.id)):
        return None
    return Micros(max(begun, opened_at(conn, storefront.id, experiment.key, slot) or begun))


def _mark(conn: Connection, storefront: Storefront, experiment: Experiment, now: Micros) -> str:
    """What changes with all that a report could say: its data, its definition, and the day."""
    since = experiment.started_at or experiment.created_at
    data = queries.data_mark(conn, storefront.id, experiment.id, since)
    of = (experiment.version, experiment.state, day_number(now, storefront.zone), data)
    return hashlib.sha256(repr(of).encode()).hexdigest()[:32]


def _alarms(conn: Connection, storefront: Storefront, experiment: Experiment, now: Micros) -> list[Condition]:
    """What the report says that somebody should be told: the same report as everybody reads, without its groups."""
    scope = scope_of(storefront, experiment, now)
    definition = experiment.definition
    order = [definition.control.key, *(v.key for v in definition.variants if v.key != definition.control.key)]
    counts = queries.count(conn, scope, order)
    if counts.first_at is None:
        return []
    ledger = read_ledger(conn, scope, counts, day_number(now, storefront.zone))
    facts = facts_of(conn, storefront, experiment, scope, counts, ledger, alone=True)
    return alarms(compose(ledger, facts, brief=True), facts.plan, counts.entered)


def _asks_for_a_pause(experiment: Experiment, standing: Sequence[Alert]) -> bool:
    asked = experiment.definition.schedule.pause_when
    return experiment.state == "running" and any(a.kind in asked and a.acted_at is None for a in standing)


def _say(experiment: Experiment, error: Exception) -> None:
    if isinstance(error, OfferlabError):
        log.warning("%s was not watched: %s", experiment.key, error.message)
    else:
        log.error("%s was not watched", experiment.key, exc_info=error)
