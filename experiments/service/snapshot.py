"""What assigning needs, in memory: compiled, immutable, swapped whole when the registry's revision changes."""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from sqlalchemy import Connection, Engine

from experiments.assignment import Rule, compile_rule
from experiments.catalogue import Catalogue
from experiments.errors import OfferlabError, Unavailable
from experiments.identifiers import StorefrontId
from experiments.lifecycle import SERVING
from experiments.moment import SECOND, Micros
from experiments.recommend import History
from experiments.resolution import Context, Refusal, Resolver, ServedOffer
from experiments.storage.database import reading
from experiments.storage.keys import KeyKind, live_keys
from experiments.storage.products import read_products
from experiments.storage.registry import Experiment, experiments
from experiments.storage.storefronts import Placement, Storefront, all_storefronts, current_revision, placements

Resolved = tuple[Sequence[ServedOffer], Mapping[str, Refusal]]
"""What each variant of an experiment would show, and for those that could not be shown, why."""

log = logging.getLogger(__name__)

CHECK_EVERY = SECOND // 10
"""How old a snapshot may be before it asks whether there is a newer revision."""


@dataclass(frozen=True, slots=True)
class StorefrontView:
    """One storefront as assignment sees it."""

    storefront: Storefront
    catalogue: Catalogue
    resolver: Resolver
    placements: Mapping[str, Placement]
    rules: Mapping[str, tuple[Rule, ...]]
    experiments: Mapping[str, Experiment]
    resolved: dict[tuple[int, Context], Resolved] = field(default_factory=dict)
    """What was resolved before, by experiment and context; it goes with this view, so nothing in it is ever stale."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every storefront, and which key opens which."""

    revision: int
    storefronts: Mapping[StorefrontId, StorefrontView]
    keys: Mapping[str, tuple[StorefrontId, KeyKind]]

    @classmethod
    def load(cls, conn: Connection, previous: Self | None = None) -> Self:
        """The present state; a catalogue that has not changed since `previous` is not read again."""
        number = current_revision(conn)
        views: dict[StorefrontId, StorefrontView] = {}
        for storefront in all_storefronts(conn):
            before = previous.storefronts.get(storefront.id) if previous else None
            views[storefront.id] = _view(conn, storefront, before)
        keys = {key.digest: (key.storefront_id, key.kind) for key in live_keys(conn)}
        return cls(number, views, keys)


def _view(conn: Connection, storefront: Storefront, before: StorefrontView | None) -> StorefrontView:
    if before is not None and before.storefront.products_at == storefront.products_at:
        catalogue, resolver = before.catalogue, before.resolver
    else:
        products = {p.product_id: p for p in read_products(conn, storefront.id)}
        catalogue = Catalogue(products, storefront.currency)
        resolver = Resolver(catalogue, History())
    known = {record.key: record for record in experiments(conn, storefront.id)}
    return StorefrontView(
        storefront=storefront,
        catalogue=catalogue,
        resolver=resolver,
        placements={p.key: p for p in placements(conn, storefront.id)},
        rules=_rules(known.values()),
        experiments=known,
    )


def _rules(records: Iterable[Experiment]) -> dict[str, tuple[Rule, ...]]:
    """By placement: decided winners first, then the running experiments, the oldest first."""
    by_placement: dict[str, list[Rule]] = {}
    live = [r for r in records if r.winner or r.state in SERVING or r.state in {"scheduled", "paused"}]
    for record in sorted(live, key=lambda r: (r.winner is None, r.id)):
        rule = compile_rule(record.id, record.definition, record.state, record.seed, winner=record.winner)
        by_placement.setdefault(record.definition.placement, []).append(rule)
    return {key: tuple(rules) for key, rules in by_placement.items()}


class Snapshots:
    """The current snapshot of this process; it outlives the database's absence."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._checked_at = Micros(0)
        self._current: Snapshot | None = None
        self.database_away = False

    def current(self, now: Micros) -> Snapshot:
        """The newest snapshot, asked for ten times a second at most; the last good one while the database is away."""
        snapshot = self._current
        if snapshot is not None and (now - self._checked_at < CHECK_EVERY or not self._lock.acquire(blocking=False)):
            return snapshot
        if snapshot is None:
            self._lock.acquire()
        try:
            return self._refresh(now)
        finally:
            self._lock.release()

    def refresh(self, now: Micros) -> Snapshot:
        """The newest snapshot, asked for now: after a change of one's own."""
        with self._lock:
            return self._refresh(now)

    def _refresh(self, now: Micros) -> Snapshot:
        self._checked_at = now
        current = self._current
        try:
            with reading(self._engine) as conn:
                if current is None or current_revision(conn) != current.revision:
                    current = self._current = Snapshot.load(conn, current)
            self.database_away = False
        except OfferlabError as error:
            self.database_away = True
            if current is None:
                raise Unavailable("The database does not answer, and nothing was loaded before") from error
            log.warning("assigning from the last good snapshot: %s", error.message)
        return current
