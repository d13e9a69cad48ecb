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
from experiments.incentives import FrequencyCap
from experiments.layers import Layer
from experiments.lifecycle import SERVING
from experiments.moment import SECOND, Micros
from experiments.offers import NoOffer
from experiments.resolution import Context, Refusal, Resolver, ServedOffer
from experiments.service.rows import Rows, StorefrontRows, read_rows
from experiments.shortlist import Shortlist, shortlist
from experiments.signals import Holdout
from experiments.storage.database import reading
from experiments.storage.keys import KeyKind
from experiments.storage.registry import Experiment
from experiments.storage.storefronts import Placement, Storefront, current_revision
from experiments.targeting import SavedGroups

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
    layers: Mapping[str, Layer] = field(default_factory=dict)
    saved_groups: SavedGroups = field(default_factory=dict)
    """The saved audiences, as GrowthBook's SDKs read them."""
    holdout: Holdout | None = None
    paused: frozenset[str] = frozenset()
    """Placements whose kill switch is on."""
    history_at: int = 0
    """When what past orders suggest was worked out, in microseconds."""
    caps: Mapping[int, tuple[FrequencyCap, ...]] = field(default_factory=dict)
    """By experiment, the frequency caps of its offers; all variants stand under each of them."""
    shortlists: Mapping[str, Shortlist] = field(default_factory=dict)
    """For placements with many rules in layers, how to find those that could take a unit."""

    def rule(self, experiment: Experiment) -> Rule:
        """An experiment of this storefront as a rule, whatever its state."""
        known = next(
            (r for r in self.rules.get(experiment.definition.placement, ()) if r.experiment_id == experiment.id), None
        )
        return known or _compiled(experiment, self.layers, self.saved_groups)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every storefront, and which key opens which."""

    revision: int
    storefronts: Mapping[StorefrontId, StorefrontView]
    keys: Mapping[str, tuple[StorefrontId, KeyKind]]
    rows: Rows

    @classmethod
    def load(cls, conn: Connection, previous: Self | None = None) -> Self:
        """The present state; a catalogue or a rule that has not changed since `previous` is not made again."""
        return cls.of(read_rows(conn, previous.rows if previous else None), previous)

    @classmethod
    def of(cls, rows: Rows, previous: Self | None = None) -> Self:
        """These rows, compiled."""
        before = previous.storefronts if previous else {}
        views = {found.storefront.id: _view(found, before.get(found.storefront.id)) for found in rows.storefronts}
        keys = {key.digest: (key.storefront_id, key.kind) for key in rows.keys}
        return cls(rows.revision, views, keys, rows)


def _view(rows: StorefrontRows, before: StorefrontView | None) -> StorefrontView:
    storefront = rows.storefront
    if before is not None and before.storefront.products_at == storefront.products_at:
        catalogue, resolver = before.catalogue, before.resolver
    else:
        catalogue = Catalogue({p.product_id: p for p in rows.products}, storefront.currency)
        resolver = Resolver(catalogue, rows.history)
    if before is not None and before.history_at != rows.history_at:
        resolver = Resolver(catalogue, rows.history)
    groups = {key: audience.group for key, audience in rows.audiences.items()}
    made = {r.experiment_id: r for rules in before.rules.values() for r in rules} if before else {}
    if before is not None and (before.saved_groups != groups or before.layers != rows.layers):
        made = {}
    policy = storefront.policy
    by_placement = _rules(rows.experiments, rows.layers, groups, made)
    return StorefrontView(
        storefront=storefront,
        catalogue=catalogue,
        resolver=resolver,
        placements={p.key: p for p in rows.placements},
        rules=by_placement,
        experiments={record.key: record for record in rows.experiments},
        layers=rows.layers,
        saved_groups=groups,
        holdout=Holdout(policy.holdout, policy.holdout_seed) if policy.holdout else None,
        paused=frozenset(p.key for p in rows.placements if p.paused),
        history_at=rows.history_at,
        caps={rule.experiment_id: caps for rules in by_placement.values() for rule in rules if (caps := _caps(rule))},
        shortlists={key: found for key, rules in by_placement.items() if (found := shortlist(rules)) is not None},
    )


def in_order(records: Iterable[Experiment]) -> list[Experiment]:
    """Those with a rule, in order of priority: decided winners first, then the experiments, the oldest first.

    A holdback is asked right before the winner that it holds back, which is not shown while that is paused.
    """
    known = list(records)
    places = {r.key: r.id for r in known}
    silenced = {r.follows for r in known if r.state == "paused"}
    live = [
        r
        for r in known
        if (r.winner and r.key not in silenced) or r.state in SERVING or r.state in {"scheduled", "paused"}
    ]

    def place(r: Experiment) -> tuple[bool, int, bool]:
        followed = places.get(r.follows) if r.follows is not None else None
        return r.winner is None and followed is None, r.id if followed is None else followed, followed is None

    return sorted(live, key=place)


def _rules(
    records: Iterable[Experiment], layers: Mapping[str, Layer], groups: SavedGroups, made: Mapping[int, Rule]
) -> dict[str, tuple[Rule, ...]]:
    by_placement: dict[str, list[Rule]] = {}
    for record in in_order(records):
        rule = made.get(record.id)
        if rule is None or rule.definition is not record.definition or rule.state != record.state:
            rule = _compiled(record, layers, groups)
        by_placement.setdefault(record.definition.placement, []).append(rule)
    return {key: tuple(rules) for key, rules in by_placement.items()}


def _caps(rule: Rule) -> tuple[FrequencyCap, ...]:
    variants = rule.definition.variants if rule.winner is None else (rule.winner,)
    shown = (variant.offer for variant in variants if not isinstance(variant.offer, NoOffer))
    return tuple(dict.fromkeys(offer.frequency_cap for offer in shown if offer.frequency_cap is not None))


def _compiled(record: Experiment, layers: Mapping[str, Layer], groups: SavedGroups) -> Rule:
    part = record.definition.layer
    # a layer's name is a good seed too, for experiments of a time when layers were only named
    layer_seed = "" if part is None else layers[part.key].seed if part.key in layers else part.key
    return compile_rule(
        record.id, record.definition, record.state, record.seed, layer_seed, winner=record.winner, saved_groups=groups
    )


class Snapshots:
    """The current snapshot, asked for in the caller's own thread; it outlives the database's absence.

    For commands and imports; a server's is `refreshing.LiveSnapshots`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._checked_at = Micros(0)
        self._current: Snapshot | None = None
        self._failed = False

    @property
    def database_away(self) -> bool:
        """Whether the database did not answer when it was last asked."""
        return self._failed

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
            self._failed = False
        except OfferlabError as error:
            self._failed = True
            if current is None:
                raise Unavailable("The database does not answer, and nothing was loaded before") from error
            log.warning("assigning from the last good snapshot: %s", error.message)
        return current
