"""Reports that are kept until their data or their definition changes; each is made once, however many ask for it."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy import Engine

from analysis import queries
from analysis.experiment import experiment_report
from analysis.report import Report
from experiments.lifecycle import MEASURING
from experiments.moment import DAY, SECOND, Micros, day_number
from experiments.storage.database import reading
from experiments.storage.registry import Experiment, get_experiment
from experiments.storage.storefronts import Storefront
from webapp.clock import now
from webapp.lab import the_lab

MOST_KEPT = 64
LONGEST = 3600 * SECOND
"""How old a kept report may become while nothing changes: days pass, and with them what is mature and what is due."""

Key = tuple[int, str, str | None]


@dataclass(frozen=True, slots=True)
class Read:
    """A report with its experiment, and when it was read."""

    experiment: Experiment
    report: Report
    at: Micros
    mark: tuple[Any, ...]

    @property
    def early_until(self) -> Micros | None:
        """Until when the plan says that nobody should conclude anything; None once that is past."""
        begun = self.experiment.started_at
        if begun is None or self.experiment.state not in MEASURING:
            return None
        ripe = Micros(begun + self.experiment.definition.analysis.minimum_days * DAY)
        return ripe if ripe > self.at else None


class KeptReports:
    """One process's reports. A lock for each report, none over all: nothing else waits while one is made."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: OrderedDict[Key, Read] = OrderedDict()
        self._making: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def read(self, storefront: Storefront, key: str, at: Micros, only: str | None = None, lag: int = 0) -> Read:
        """The report as of now, or the kept one where nothing has changed since; one at most `lag` old is not asked."""
        name = (int(storefront.id), key, only)
        held = self._held.get(name)
        if held is not None and 0 <= at - held.at < lag:
            return held
        experiment, mark = self._mark(storefront, key, at)
        if (fresh := self._fresh(name, mark, at)) is not None:
            return fresh
        with self.making(name):
            if (fresh := self._fresh(name, mark, at)) is not None:
                return fresh
            with reading(self._engine) as conn:
                found = Read(experiment, experiment_report(conn, storefront, experiment, at, only), at, mark)
            with self._lock:
                self._held[name] = found
                self._held.move_to_end(name)
                while len(self._held) > MOST_KEPT:
                    self._making.pop(self._held.popitem(last=False)[0], None)
            return found

    def making(self, name: Key) -> threading.Lock:
        """Held while the report of that name is made."""
        with self._lock:
            return self._making.setdefault(name, threading.Lock())

    def _mark(self, storefront: Storefront, key: str, at: Micros) -> tuple[Experiment, tuple[Any, ...]]:
        with reading(self._engine) as conn:
            experiment = get_experiment(conn, storefront.id, key)
            begun = experiment.started_at or experiment.created_at
            data = queries.data_mark(conn, storefront.id, experiment.id, begun)
        of = (experiment.version, experiment.fingerprint, experiment.state, day_number(at, storefront.zone))
        return experiment, (*of, *data)

    def _fresh(self, name: Key, mark: tuple[Any, ...], at: Micros) -> Read | None:
        held = self._held.get(name)
        return held if held is not None and held.mark == mark and 0 <= at - held.at < LONGEST else None


def kept_report(storefront: Storefront, key: str, only: str | None = None, lag: int = 0) -> Read:
    """The report of the running application."""
    kept: KeptReports = current_app.extensions.setdefault("offerlab_reports", KeptReports(the_lab().engine))
    return kept.read(storefront, key, now(), only, lag)
