"""The field experiment of Karlan and List as a stopped experiment: letters to donors, with and without a matching
offer. The file and where it comes from: experiments/data/PROVENANCE.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine

from experiments.importing.events import Fill
from experiments.importing.rowfile import Row, RowFile
from experiments.moment import DAY, Micros, micros
from experiments.service import defining
from experiments.service.importing import Batch, import_conversions, import_exposures
from experiments.service.settings import create_storefront
from experiments.service.snapshot import Snapshots, StorefrontView
from experiments.storage.database import writing
from experiments.storage.storefronts import get_storefront

KEY = "karlan-list"
FILE = Path(__file__).parent.parent / "data" / "karlan_list_2007.csv.gz"
ACTOR = "demo"
_COLUMNS = frozenset({"arm", "gave", "amount"})

MAILED = datetime(2005, 8, 1, 16, tzinfo=UTC)
"""The letters went out in August 2005; the file has no dates, so every letter has this one."""
GAVE = datetime(2005, 8, 8, 16, tzinfo=UTC)
CLOSED = datetime(2005, 9, 1, 16, tzinfo=UTC)

EXPERIMENT: Mapping[str, Any] = MappingProxyType(
    {
        "key": "matching-gift",
        "name": "Letters to donors: does a matching gift pay?",
        "hypothesis": "A donor gives more readily when somebody else adds one, two or three dollars to each of theirs. "
        "(Karlan and List, American Economic Review 97(5), 2007.)",
        "placement": "letter",
        "variants": [
            {"key": "control", "name": "No match", "weight": 3334, "offer": {"type": "none"}},
            {"key": "match_1:1", "name": "$1 for each $1", "weight": 2222, "offer": {"type": "none"}},
            {"key": "match_2:1", "name": "$2 for each $1", "weight": 2222, "offer": {"type": "none"}},
            {"key": "match_3:1", "name": "$3 for each $1", "weight": 2222, "offer": {"type": "none"}},
        ],
        "metrics": {"primary": "revenue_per_visitor", "secondary": ["conversion", "aov"]},
        "analysis": {"window_days": 30, "minimum_days": 0, "sequential": False},
    }
)
"""The match is in the letter, not in a shop: each variant's offer is `none`, and its name says what was written."""


def import_experiment(engine: Engine, now: Micros) -> None:
    """Make the storefront and the experiment, import both kinds of events, and stop it."""
    mailed, closed = micros(MAILED), micros(CLOSED)
    with writing(engine) as conn:
        storefront = create_storefront(
            conn, KEY, "USD", "America/New_York", (), Micros(mailed - DAY), "Karlan and List: letters to donors"
        )
        defining.create(conn, storefront, dict(EXPERIMENT), ACTOR, Micros(mailed - DAY))
        defining.start(conn, storefront, EXPERIMENT["key"], ACTOR, mailed)
    snapshot = Snapshots(engine).current(now)
    view = next(view for view in snapshot.storefronts.values() if view.storefront.key == KEY)
    for batch in import_file(engine, view, now):
        if batch.rejected:
            raise RuntimeError(f"line {batch.rejected[0].line} was refused: {batch.rejected[0].refusal.message}")
    with writing(engine) as conn:
        defining.act(conn, get_storefront(conn, KEY), EXPERIMENT["key"], "stop", ACTOR, closed)


def import_file(engine: Engine, view: StorefrontView, now: Micros) -> Iterator[Batch]:
    """Import the file's letters as exposures and its gifts as orders; a second time all of them are duplicates."""
    gifts: list[Row] = []
    letters = _letters(RowFile(FILE).rows(lambda column: column if column in _COLUMNS else None), gifts)
    yield from import_exposures(engine, view, letters, Fill("USD", EXPERIMENT["key"], MAILED), now)
    yield from import_conversions(engine, view, gifts, Fill("USD", occurred_at=GAVE), now, _no_id)


def _letters(rows: Iterable[Row], gifts: list[Row]) -> Iterator[Row]:
    """Each row as an exposure; a gift goes to `gifts` as an order, its amount unknown where the file has it blank.

    Letters have no id in the file: the line they stand on is theirs.
    """
    for row in rows:
        number = f"{row.line - 1:05}"
        yield Row(row.line, {"visitor_id": f"letter-{number}", "variant": row.cells["arm"], "kind": "assigned"})
        if row.cells["gave"] == "1":
            gift = {"visitor_id": f"letter-{number}", "order_id": f"gift-{number}"}
            amount = row.cells.get("amount")
            gifts.append(Row(row.line, gift | ({"revenue": amount} if amount is not None else {})))


def _no_id() -> str:
    raise RuntimeError("every gift has its number")
