"""The watch: one round over everything that runs, which tells what is new of it; a step that takes the time.

Starts, ends and silence are cheap and asked each round, for all at once. A report is made for those experiments whose
turn it is, and only where an event, the definition or the day changed since the last one.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from analysis import queries
from analysis.alarms import alarms
from analysis.compose import compose
from analysis.experiment import facts_of, scope_of
from analysis.glance import Glance, glance, rest_after
from analysis.journal import read_ledger
from experiments.alerts import Condition, news, over
from experiments.errors import OfferlabError
from experiments.identifiers import ExperimentId
from experiments.lifecycle import MEASURING
from experiments.moment import SECOND, Micros, day_number
from experiments.service.alerting import Seen, tell
from experiments.storage.alerts import Alert, looks, note_look, open_alerts
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment, experiments
from experiments.storage.storefronts import Storefront, all_storefronts

Standing = Mapping[ExperimentId, Sequence[Alert]]

log = logging.getLogger(__name__)

LOOK_EVERY = 15 * 60 * SECOND
"""No experiment is looked at closely more often."""
MOST_LOOKS = 100
"""Close looks of one round, those that waited longest first: a round ends, however many experiments run."""


@dataclass(frozen=True, slots=True)
class Due:
    """An experiment that is to be looked at closely: when it last was, and what a glance at it found."""

    looked_at: Micros
    storefront: Storefront
    experiment: Experiment
    at_a_glance: Glance


@dataclass
class Watch:
    """One process's watch: the database, where people open the pages, and the definitions that it read already."""

    engine: Engine
    public_url: str = ""
    known: dict[int, Experiment] = field(default_factory=dict)
    glances: dict[int, tuple[Micros, Mapping[int, Glance]]] = field(default_factory=dict)
    """By storefront: until when the last glance holds, and what it found."""

    def round(self, now: Micros, go_on: Callable[[], bool] = lambda: True) -> list[Alert]:
        """Look at what runs, and tell what is new; `go_on` is asked before each close look whether there is time."""
        told: list[Alert] = []
        due: list[Due] = []
        for storefront, current in self._current(now):
            with reading(self.engine) as conn:
                standing = open_alerts(conn, [e.id for e in current])
            told += self._tell_news(storefront, current, standing, now)
            measuring = [e for e in current if e.state in MEASURING and e.started_at is not None]
            if measuring:
                told += self._tell_silence(storefront, measuring, standing, now)
                due += self._due(storefront, measuring, now)
        for one in sorted(due, key=lambda one: one.looked_at)[:MOST_LOOKS]:
            if not go_on():
                break
            told += self._look(one, now)
        return told

    def _current(self, now: Micros) -> Iterator[tuple[Storefront, list[Experiment]]]:
        """Each storefront with what measures, and with what began or ended of late."""
        with reading(self.engine) as conn:
            found = [(one, experiments(conn, one.id, self.known)) for one in all_storefronts(conn)]
        self.known = {e.id: e for _, every in found for e in every}
        for storefront, every in found:
            yield storefront, [e for e in every if e.state in MEASURING or news(e.started_at, e.stopped_at, now)]

    def _tell_news(
        self, storefront: Storefront, current: Sequence[Experiment], standing: Standing, now: Micros
    ) -> list[Alert]:
        told: list[Alert] = []
        for experiment in current:
            before = standing.get(experiment.id, [])
            known = {alert.kind for alert in before}
            begun = [c for c in news(experiment.started_at, experiment.stopped_at, now) if c.kind not in known]
            seen = Seen(begun, [kind for kind in known if over(kind, experiment.state)])
            if seen.conditions or seen.over or _asks_for_a_pause(experiment, before):
                told += self._told(storefront, experiment, seen, now)
        return told

    def _tell_silence(
        self, storefront: Storefront, measuring: Sequence[Experiment], standing: Standing, now: Micros
    ) -> list[Alert]:
        """What a glance finds without a report; none is made again while the last one, that read many rows, holds."""
        until, found = self.glances.get(storefront.id, (Micros(0), {}))
        if now < until and all(e.id in found for e in measuring):
            return []
        with reading(self.engine) as conn:
            found, rows = glance(conn, storefront, measuring, now)
        self.glances[storefront.id] = (Micros(now + rest_after(rows)), found)
        told: list[Alert] = []
        for experiment in measuring:
            known = {alert.kind for alert in standing.get(experiment.id, [])}
            seen = found[experiment.id].seen
            new = Seen([c for c in seen.conditions if c.kind not in known], [k for k in seen.over if k in known])
            if new.conditions or new.over:
                told += self._told(storefront, experiment, new, now)
        return told

    def _due(self, storefront: Storefront, measuring: Sequence[Experiment], now: Micros) -> list[Due]:
        """Those with units whose turn has come, and of whom something changed since the last close look."""
        with reading(self.engine) as conn:
            before = looks(conn, [e.id for e in measuring])
        _, found = self.glances[storefront.id]
        due = []
        for experiment in measuring:
            at, mark = before.get(experiment.id, (Micros(0), ""))
            seen = found[experiment.id]
            if seen.units and now - at >= LOOK_EVERY and seen.mark != mark:
                due.append(Due(at, storefront, experiment, seen))
        return due

    def _look(self, due: Due, now: Micros) -> list[Alert]:
        """What a close look tells; one that fails is logged, counts as a look, and keeps nobody from the others."""
        mark, seen = "", Seen()
        try:
            with reading(self.engine) as conn:
                seen = look(conn, due, now)
                mark = due.at_a_glance.mark
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them, the others are watched
            _say(due.experiment, error)
        return self._told(due.storefront, due.experiment, seen, now, mark)

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


def look(conn: Connection, due: Due, now: Micros) -> Seen:
    """What holds of one experiment now: what its report says, and what the glance at it found."""
    found = [*due.at_a_glance.seen.conditions, *_alarms(conn, due.storefront, due.experiment, now)]
    settled = [*due.at_a_glance.seen.over]
    if all(condition.kind != "no_conversions" for condition in found):
        settled.append("no_conversions")
    return Seen(found, settled)


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
