"""From the store to the traits of a report's units: levels from a survey, then sums by level, day and variant."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    FromClause,
    Text,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)

from analysis.ledger import Ints, Ledger
from analysis.queries import Counts, Scope, identities_of
from analysis.traits import CARTS, OTHER, UNKNOWN, Trait
from experiments.devices import DEVICES
from experiments.segments import attributes_of
from experiments.storage.identities import Identities
from experiments.storage.tables import exposure

SURVEYED = 10_000
"""Units by which levels are chosen: the commonest categories, the quarters of the carts' values."""
MOST_LEVELS = 8
"""Of a trait with words of its own; the rarer ones are taken together."""
_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class _Split:
    """A segment's levels, and the SQL that says which of them a unit is in."""

    segment: str
    levels: tuple[str, ...]
    code: ColumnElement[int]


def read_traits(
    conn: Connection, scope: Scope, counts: Counts, ledger: Ledger, planned: Sequence[str]
) -> tuple[Trait, ...]:
    """The traits that anything is known of, the plan's attributes after those that every report has."""
    wanted = attributes_of(planned)
    splits = list(_splits(conn, scope, wanted))
    built_in = [split for split in splits if split.segment not in wanted]
    found: dict[str, tuple[Ints, Ints]] = {}
    # together where there are few levels: the exposures are gone through once; each attribute by itself
    for some in [built_in, *([split] for split in splits if split.segment in wanted)]:
        if some:
            found |= _tallies(conn, scope, counts, some)
    of_unit = _of_units(conn, scope, ledger.units.ids, splits)
    return tuple(
        Trait(split.segment, split.levels, *found[split.segment], codes)
        for split, codes in zip(splits, of_unit, strict=True)
    )


def _mine(scope: Scope) -> ColumnElement[bool]:
    e = exposure.c
    return and_(e.experiment_id == scope.experiment_id, e.kind == "assigned", e.at <= scope.until)


def _splits(conn: Connection, scope: Scope, wanted: Sequence[str]) -> Iterator[_Split]:
    """What the first and the last units by name tell: more would not move a quarter by a hundredth.

    Who told nothing is among them: to look for those who did, a shop whose units tell nothing would be read whole.
    """
    e = exposure.c
    query = select(e.unit_id, e.device, e.category, e.cart, e.attributes).where(_mine(scope)).limit(SURVEYED // 2)
    ends = [query.order_by(order).subquery() for order in (e.unit_id.asc(), e.unit_id.desc())]
    told = [select(end).where(or_(*(column.is_not(None) for column in [*end.c][1:]))) for end in ends]
    rows = {row.unit_id: row for one in told for row in conn.execute(one)}.values()
    if any(row.device is not None for row in rows):
        yield _worded("device", DEVICES, e.device)
    categories = _commonest(row.category for row in rows)
    if categories:
        yield _worded("category", categories, e.category)
    carts = [int(row.cart) for row in rows if row.cart is not None]
    if carts:
        yield _Split("cart_value", (*CARTS, UNKNOWN), _quarter(carts))
    attributes = [msgspec.json.decode(row.attributes) for row in rows if row.attributes] if wanted else []
    for name in wanted:
        values = _commonest(given.get(name) for given in attributes)
        if values:
            yield _worded(name, values, _attribute(conn, name))


def _commonest(words: Iterable[str | None]) -> tuple[str, ...]:
    counted = Counter(word for word in words if word is not None and word not in {OTHER, UNKNOWN})
    ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(word for word, _ in ranked[:MOST_LEVELS])


def _worded(segment: str, words: Sequence[str], column: ColumnElement[Any]) -> _Split:
    levels = tuple(dict.fromkeys([*words, OTHER, UNKNOWN]))
    place = {level: i for i, level in enumerate(levels)}
    known = [(column == word, place[word]) for word in words if word != OTHER]
    missing = (or_(column.is_(None), column == UNKNOWN), place[UNKNOWN])
    return _Split(segment, levels, case(missing, *known, else_=place[OTHER]))


def _quarter(carts: Sequence[int]) -> ColumnElement[int]:
    """Empty, or which quarter of the values of the others."""
    filled = [cart for cart in carts if cart > 0]
    bounds = [int(bound) for bound in np.quantile(filled, (0.25, 0.5, 0.75), method="inverted_cdf")] if filled else []
    value = exposure.c.cart
    steps = [(value <= bound, i) for i, bound in enumerate(bounds, 1)]
    return case((value.is_(None), len(CARTS)), (value <= 0, 0), *steps, else_=len(CARTS) - 1)


def _attribute(conn: Connection, name: str) -> ColumnElement[Any]:
    told = exposure.c.attributes
    if conn.dialect.name == "postgresql":
        return func.json_extract_path_text(cast(told, JSON), name, type_=Text)
    return func.json_extract(told, f'$."{name}"', type_=Text)


def _tallies(conn: Connection, scope: Scope, counts: Counts, splits: Sequence[_Split]) -> dict[str, tuple[Ints, Ints]]:
    """For each segment who entered, and who of them saw the offer, by level, day of entry and variant."""
    e, v = exposure, exposure.alias("v")
    saw = and_(v.c.experiment_id == scope.experiment_id, v.c.kind == "viewed", v.c.unit_id == e.c.unit_id)
    identities = identities_of(conn, scope)
    followers = None if identities is None or scope.unit != "visitor" else _followers(identities)
    sources: dict[bool, FromClause] = {False: e}
    if counts.viewed.any():
        sources[True] = e.join(v, and_(saw, v.c.at <= scope.until))
    out = {}
    for seen, source in sources.items():
        out[seen] = _sums(conn, scope, counts, splits, source)
        if followers is not None:  # a customer's second visitor is no unit of its own
            theirs = source.join(followers, followers.c.unit_id == e.c.unit_id)
            less = _sums(conn, scope, counts, splits, theirs)
            out[seen] = [all_of_them - some for all_of_them, some in zip(out[seen], less, strict=True)]
    viewed = out.get(True, [np.zeros_like(entered) for entered in out[False]])
    return {s.segment: pair for s, pair in zip(splits, zip(out[False], viewed, strict=True), strict=True)}


def _followers(identities: Identities) -> FromClause:
    members = identities.members()
    leads = identities.leads(members)
    leading = members.outerjoin(leads, leads.c.unit_id == members.c.unit_id)
    return select(members.c.unit_id).select_from(leading).where(leads.c.unit_id.is_(None)).cte("followers")


def _sums(conn: Connection, scope: Scope, counts: Counts, splits: Sequence[_Split], source: FromClause) -> list[Ints]:
    """One number of day, variant and levels: it groups faster than they do."""
    e, variants = exposure.c, counts.variants
    variant = case(*((e.variant == key, i) for i, key in enumerate(variants)), else_=len(variants))
    code = e.day * (len(variants) + 1) + variant
    for split in splits:
        code = code * len(split.levels) + split.code
    code = code.label("code")
    query = select(code, func.count()).select_from(source).where(_mine(scope)).group_by(code)
    rows = np.array([(int(one), int(units)) for one, units in conn.execute(query)], dtype=np.int64).reshape(-1, 2)
    rest, units = rows[:, 0], rows[:, 1]
    places = []
    for split in reversed(splits):
        rest, level = np.divmod(rest, len(split.levels))
        places.append(level)
    day, of = np.divmod(rest, len(variants) + 1)
    keep = of < len(variants)
    found = []
    for split, level in zip(splits, reversed(places), strict=True):
        sums = np.zeros((len(split.levels), *counts.entered.shape), dtype=np.int64)
        np.add.at(sums, (level[keep], day[keep] - counts.first_day, of[keep]), units[keep])
        found.append(sums)
    return found


def _of_units(conn: Connection, scope: Scope, ids: Iterable[str], splits: Sequence[_Split]) -> list[Ints]:
    """Each listed unit's level by segment."""
    if not splits:
        return []
    place = {unit: i for i, unit in enumerate(ids)}
    found = np.array([[len(split.levels) - 1] * len(place) for split in splits], dtype=np.int64)
    given = list(place)
    for start in range(0, len(given), _CHUNK):
        query = select(exposure.c.unit_id, *(split.code for split in splits)).where(
            _mine(scope), exposure.c.unit_id.in_(given[start : start + _CHUNK])
        )
        rows = conn.execute(query).all()
        if rows:
            at = [place[row[0]] for row in rows]
            found[:, at] = np.array([tuple(row)[1:] for row in rows], dtype=np.int64).T
    return list(found)
