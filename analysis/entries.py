"""Units by day of entry and variant, counted as each database counts fastest."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from sqlalchemy import ColumnElement, Connection, case, func, select

from experiments.moment import DAY, Micros
from experiments.storage.tables import exposure

MOST = 1_000_000
"""Units that are spelled out at once."""

Entries = tuple[list[tuple[int, int, int]], Micros | None, Micros | None]
"""Units by day and variant, and when the first and the last of them came."""


def by_day(conn: Connection, mine: ColumnElement[bool], place: Mapping[str, int], until: Micros) -> Entries:
    """Entries, the last variant for strays."""
    variant = case(*((exposure.c.variant == key, at) for key, at in place.items()), else_=len(place))
    if conn.dialect.name == "sqlite":
        return spelled(conn, mine, variant, until)
    many, e = len(place) + 1, exposure.c
    code = (e.day * many + variant).label("code")  # one number of day and variant groups faster than the two do
    rows = conn.execute(select(code, func.count(), func.min(e.at), func.max(e.at)).where(mine).group_by(code)).all()
    first, last = min((row[2] for row in rows), default=None), max((row[3] for row in rows), default=None)
    return [(int(row[0]) // many, int(row[0]) % many, int(row[1])) for row in rows], first, last


def spelled(
    conn: Connection, mine: ColumnElement[bool], variant: ColumnElement[int], until: Micros, most: int = MOST
) -> Entries:
    """Entries counted from one text with two letters for each unit, day and variant: SQLite would sort all to group.

    At `most` so many units at a time, on from the last of them, so that the text stays small.
    """
    e, latest = exposure.c, until // DAY + 2  # some zone is a day ahead
    found: Counter[tuple[int, int]] = Counter()
    first: Micros | None = None
    last: Micros | None = None
    after = ""
    while True:
        some = (
            select(e.unit_id, e.at, func.char(latest - e.day + 1, variant + 1).label("letters"))
            .where(mine, e.unit_id > after)
            .order_by(e.unit_id)
            .limit(most)
            .subquery()
        )
        c = some.c
        read = select(func.group_concat(c.letters, ""), func.min(c.at), func.max(c.at), func.max(c.unit_id))
        text, lowest, highest, after = conn.execute(read).one()
        if text is None:
            return [(day, at, units) for (day, at), units in found.items()], first, last
        first = lowest if first is None else min(first, lowest)
        last = highest if last is None else max(last, highest)
        codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.int64).reshape(-1, 2)
        days = int(codes[:, 0].max()) + 1
        units = np.bincount(codes[:, 1] * days + codes[:, 0])
        for code in np.flatnonzero(units):
            found[latest + 1 - int(code) % days, int(code) // days - 1] += int(units[code])
