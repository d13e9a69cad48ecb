"""Imports: every format, idempotent, and by the rules of the HTTP door."""

import gzip
import json
import lzma
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from sqlalchemy import Engine, select

from experiments.errors import Invalid, Malformed, NotFound
from experiments.events import parse_conversion
from experiments.importing import events
from experiments.importing.columns import ALIASES, FIELDS, TYPES, Columns, Kind
from experiments.importing.events import Fill
from experiments.importing.rowfile import Row, RowFile
from experiments.moment import Micros, micros
from experiments.service import defining, importing
from experiments.service.settings import create_storefront
from experiments.service.snapshot import Snapshots, StorefrontView
from experiments.storage.database import reading, writing
from experiments.storage.storefronts import get_storefront
from experiments.storage.tables import conversion, crossover, exposure, order_line, product
from webapp.cli import main

NOW = micros(datetime(2026, 11, 21, 12, tzinfo=UTC))
EXPERIMENT = {
    "key": "cart-offers",
    "placement": "cart",
    "variants": [
        {"key": "control", "weight": 5000, "offer": {"type": "none"}},
        {"key": "bundle", "weight": 5000, "offer": {"type": "none"}},
    ],
}
EXPOSURES = "visitor_id,experiment,variant,kind,occurred_at\n" + "".join(
    f"v{n},cart-offers,{'bundle' if n % 2 else 'control'},assigned,2026-03-01T10:00:{n:02}Z\n" for n in range(20)
)
ORDERS = [
    {
        "visitor_id": "v1",
        "order_id": "o1",
        "revenue": "19.99",
        "currency": "EUR",
        "occurred_at": "2026-03-02T10:00:00Z",
    },
    {"visitor_id": "v2", "order_id": "o2", "revenue": "5.00", "currency": "EUR", "occurred_at": "2026-03-02T11:00:00Z"},
]


@pytest.fixture
def shop(engine: Engine) -> StorefrontView:
    """A storefront with a stopped experiment."""
    with writing(engine) as conn:
        storefront = create_storefront(conn, "shop", "EUR", "Europe/Berlin", (), NOW)
        defining.create(conn, storefront, EXPERIMENT, "test", NOW)
        defining.start(conn, storefront, "cart-offers", "test", NOW)
        defining.act(conn, storefront, "cart-offers", "stop", "test", NOW)
    return view(engine)


def view(engine: Engine) -> StorefrontView:
    return next(iter(Snapshots(engine).current(NOW).storefronts.values()))


def run(
    engine: Engine,
    shop: StorefrontView,
    kind: Kind,
    path: Path,
    fill: Fill | None = None,
    columns: Columns | None = None,
) -> tuple[int, int, list[importing.RejectedRow]]:
    """Import a file; accepted, duplicate, rejected."""
    source, columns = RowFile(path), columns or Columns(kind, {})
    if source.header is not None:
        columns.check(source.header)
    rows, fill = source.rows(columns.meaning), fill or Fill("EUR")
    batches: Iterator[importing.Batch]
    if kind == "products":
        batches = importing.import_products(engine, shop, rows, NOW)
    elif kind == "exposures":
        batches = importing.import_exposures(engine, shop, rows, fill, NOW)
    else:
        batches = importing.import_conversions(engine, shop, rows, fill, NOW, lambda: "new")
    done = list(batches)
    return sum(b.accepted for b in done), sum(b.duplicate for b in done), [r for b in done for r in b.rejected]


def file(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


def stored(engine: Engine, table, *columns: str):
    with reading(engine) as conn:
        chosen = [table.c[name] for name in columns]
        return [tuple(row) for row in conn.execute(select(*chosen).order_by(*chosen))]


def test_a_second_import_is_all_duplicates(engine, shop, tmp_path):
    path = file(tmp_path, "e.csv", EXPOSURES)
    assert run(engine, shop, "exposures", path) == (20, 0, [])
    before = stored(engine, exposure, "unit_id", "kind", "variant", "at", "day")
    assert run(engine, shop, "exposures", path) == (0, 20, [])
    assert stored(engine, exposure, "unit_id", "kind", "variant", "at", "day") == before
    assert stored(engine, crossover, "unit_id") == []


def test_a_bad_row_is_rejected_with_its_line_and_stops_no_other(engine, shop, tmp_path):
    path = tmp_path / "e.csv"
    path.write_bytes(
        b"\xef\xbb\xbfvisitor_id,experiment,variant,occurred_at\n"
        b"v1,cart-offers,control,2026-03-01T10:00:00Z\n"
        b"v2,cart-offers,purple,2026-03-01T10:00:00Z\n"
        b"v 3,cart-offers,control,2026-03-01T10:00:00Z\n"
        b"\n"
        b"v4,cart-offers,control\n"
        b"v\xff5,cart-offers,control,2026-03-01T10:00:00Z\n"
        b"v6,cart-offers,control,yesterday\n"
        b"v7,elsewhere,control,2026-03-01T10:00:00Z\n"
        b'v8,"cart"-offers,control,2026-03-01T10:00:00Z\n'
        b",cart-offers,control,2026-03-01T10:00:00Z\n"
        b"v9,cart-offers,bundle,2026-03-01T10:00:00Z\n"
    )
    accepted, duplicate, rejected = run(engine, shop, "exposures", path)
    assert (accepted, duplicate) == (2, 0)
    assert [(row.line, row.refusal.code) for row in rejected] == [
        (3, "unknown_variant"), (4, "invalid"), (6, "malformed"), (7, "malformed"), (8, "invalid"),
        (9, "unknown_experiment"), (10, "malformed"), (11, "invalid"),
    ]  # fmt: skip
    assert rejected[3].refusal.message == "is not UTF-8 text"
    assert {unit for (unit,) in stored(engine, exposure, "unit_id")} == {"v1", "v9"}


def _written(rows: list[dict[str, str]], path: Path) -> Path:
    """The rows in the format that the file's name says."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
        return path
    if {".csv", ".tsv"} & set(path.suffixes):
        mark = "\t" if ".tsv" in path.suffixes else ","
        text = "".join(mark.join(line) + "\n" for line in [list(rows[0]), *(row.values() for row in rows)])
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    packer = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(packer(text.encode()))
    return path


FORMATS = ["o.csv", "o.csv.gz", "o.csv.xz", "o.tsv", "o.ndjson", "o.jsonl.gz", "o.ndjson.xz", "o.parquet"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_brings_the_same_orders(engine, shop, tmp_path, name):
    path = _written(ORDERS, tmp_path / name)
    assert run(engine, shop, "conversions", path) == (2, 0, [])
    assert run(engine, shop, "conversions", path) == (0, 2, [])
    first = micros(datetime(2026, 3, 2, 10, tzinfo=UTC))
    assert stored(engine, conversion, "event_key", "type", "visitor_id", "revenue", "at") == [
        ("order:o1", "order", "v1", 1999, first),
        ("order:o2", "order", "v2", 500, first + 3_600_000_000),
    ]


def test_a_blank_amount_is_unknown_and_not_nought(engine, shop, tmp_path):
    path = file(tmp_path, "o.csv", "order_id,revenue,visitor_id\no1,,v1\no2,0,v2\n")
    assert run(engine, shop, "conversions", path) == (2, 0, [])
    assert stored(engine, conversion, "event_key", "revenue") == [("order:o1", None), ("order:o2", 0)]
    with pytest.raises(Invalid, match="revenue"):
        Columns("conversions", {}).check(["order_id", "visitor_id"])


def test_rows_of_one_order_are_its_lines(engine, shop, tmp_path):
    text = (
        "order_id,visitor_id,revenue,product_id,quantity,price,item_cost\n"
        "o1,v1,25.00,A,2,10.00,4\no1,v1,,B,1,5.00,\no2,v1,7.00,A,,7,\no3,v1,9.00,A,1,4,\no3,v1,8.00,B,1,5,\n"
    )
    accepted, _, rejected = run(engine, shop, "conversions", file(tmp_path, "o.csv", text))
    assert accepted == 2
    assert [(r.line, r.refusal.fields) for r in rejected] == [(5, ("revenue",))]
    assert stored(engine, order_line, "order_id", "number", "product_id", "quantity", "price", "cost") == [
        ("o1", 0, "A", 2, 1000, 400), ("o1", 1, "B", 1, 500, None), ("o2", 0, "A", 1, 700, None),
    ]  # fmt: skip


def test_names_of_google_analytics_are_understood(engine, shop, tmp_path):
    items = [{"item_id": "A", "item_name": "A mug", "price": 8.5, "quantity": 2}]
    purchase = {
        "event_name": "purchase", "user_pseudo_id": "v1", "event_timestamp": "1772445600000000", "transaction_id": "T1",
        "value": 17.0, "currency": "EUR", "tax": 3.23, "items": items,
    }  # fmt: skip
    assert run(engine, shop, "conversions", file(tmp_path, "g.ndjson", json.dumps(purchase))) == (1, 0, [])
    assert stored(engine, conversion, "event_key", "visitor_id", "revenue", "tax", "at") == [
        ("order:T1", "v1", 1700, 323, 1772445600000000)
    ]
    assert stored(engine, order_line, "product_id", "quantity", "price") == [("A", 2, 850)]


def test_refunds_and_interactions_come_in_the_same_file(engine, shop, tmp_path):
    text = (
        "type,visitor_id,order_id,refund_id,revenue,amount,event_id,experiment,occurred_at\n"
        "order,v1,o1,,20,,,,2026-03-02T10:00:00Z\n"
        "refund,,o1,r1,,5,,,2026-03-05T10:00:00Z\n"
        "offer_accepted,v1,,,,,a1,cart-offers,2026-03-02T09:59:00Z\n"
        "offer_dismissed,v2,,,,,,cart-offers,\n"
        "refund,,o1,r2,5,,,,2026-03-05T10:00:00Z\n"
    )
    accepted, _, rejected = run(engine, shop, "conversions", file(tmp_path, "c.csv", text))
    assert accepted == 3
    assert [(r.line, r.refusal.fields[0]) for r in rejected] == [(5, "event_id"), (6, "revenue")]
    assert stored(engine, conversion, "type", "visitor_id", "refunded")[-1] == ("refund", "v1", 500)


def test_an_unknown_column_is_named_with_those_that_are_known():
    with pytest.raises(Invalid, match=r"colour: is no column of exposures; known are experiment, variant, visitor_id"):
        Columns("exposures", {}).check(["visitor_id", "experiment", "variant", "colour"])
    Columns("exposures", {}, lenient=True).check(["visitor_id", "experiment", "variant", "colour"])
    with pytest.raises(Invalid, match="experiment"):
        Columns("exposures", {}).check(["visitor_id", "variant"])
    with pytest.raises(Invalid, match="means visitor_id, and so does"):
        Columns("exposures", {}).check(["visitor_id", "client_id", "experiment", "variant"])


def test_columns_can_be_pointed_out(engine, shop, tmp_path):
    path = file(tmp_path, "arms.csv", "who,arm,variant,weather\nv1,control,x,rain\nv2,bundle,y,sun\n")
    columns = Columns("exposures", {"who": "visitor_id", "arm": "variant"}, ("experiment",), lenient=True)
    fill = Fill("EUR", "cart-offers", datetime(2026, 1, 5, tzinfo=UTC))
    assert run(engine, shop, "exposures", path, fill, columns) == (2, 0, [])
    assert [r[:2] for r in stored(engine, exposure, "unit_id", "variant", "kind")] == [
        ("v1", "control"), ("v1", "control"), ("v2", "bundle"), ("v2", "bundle"),
    ]  # fmt: skip


def test_a_time_without_its_zone_is_refused_unless_the_zone_is_said(engine, shop, tmp_path):
    path = file(tmp_path, "o.csv", "order_id,revenue,visitor_id,occurred_at\no1,1,v1,2026-07-01 12:00:00\n")
    accepted, _, rejected = run(engine, shop, "conversions", path)
    assert (accepted, rejected[0].refusal.fields) == (0, ("occurred_at",))
    assert run(engine, shop, "conversions", path, Fill("EUR", zone=ZoneInfo("Europe/Berlin"))) == (1, 0, [])
    assert stored(engine, conversion, "at") == [(micros(datetime(2026, 7, 1, 10, tzinfo=UTC)),)]


def test_products_keep_their_other_columns_as_attributes(engine, shop, tmp_path):
    text = (
        "product_id,title,price,category,cost,stock,colour\n"
        "A,Mug,10.00,Cups,4,5,blue\nB,Tea,5.5,Tea,,,\nC,,1,,,,\nA,Mug,9,,,,\n"
    )
    path = file(tmp_path, "p.csv", text)
    accepted, duplicate, rejected = run(engine, shop, "products", path)
    assert (accepted, duplicate) == (2, 0)
    assert [(r.line, r.refusal.fields) for r in rejected] == [(4, ("title",)), (5, ("product_id",))]
    assert run(engine, shop, "products", path)[:2] == (0, 2)
    with reading(engine) as conn:
        found = {row.product_id: row for row in conn.execute(select(product))}
    assert (found["A"].price, found["A"].cost, found["A"].stock, found["A"].attributes) == (
        1000,
        400,
        5,
        {"colour": "blue"},
    )
    assert (found["B"].cost, found["B"].stock, found["B"].attributes) == (None, None, {})


def test_a_file_that_ends_too_early_says_so_and_keeps_what_it_brought(engine, shop, tmp_path):
    path = tmp_path / "e.csv.gz"
    rows = "".join(f"v{n},cart-offers,control,assigned,2026-03-01T10:00:00Z\n" for n in range(12_000))
    whole = gzip.compress(("visitor_id,experiment,variant,kind,occurred_at\n" + rows).encode())
    path.write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises(Malformed, match="cannot be read"):
        run(engine, shop, "exposures", path)
    kept = len(stored(engine, exposure, "unit_id"))
    assert 0 < kept < 12_000
    path.write_bytes(whole)
    assert run(engine, shop, "exposures", path) == (12_000 - kept, kept, [])


def test_what_is_no_file_of_rows_is_said(tmp_path):
    with pytest.raises(NotFound):
        RowFile(tmp_path / "nothing.csv")
    with pytest.raises(Malformed, match="neither"):
        RowFile(file(tmp_path, "x.doc", "a,b\n"))
    with pytest.raises(Malformed, match="names no columns"):
        RowFile(file(tmp_path, "x.csv", ""))
    with pytest.raises(Malformed, match="cannot be read"):
        RowFile(file(tmp_path, "x.parquet", "not this"))


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(texts, texts, st.decimals("-10", "10000", places=2)), max_size=5))
def test_an_order_in_a_csv_file_is_the_order_sent_over_http(orders):
    rows = [
        Row(n + 2, {k: v for k, v in (("visitor_id", who), ("order_id", what), ("revenue", str(revenue))) if v})
        for n, (who, what, revenue) in enumerate(orders)
    ]
    for row, event in zip(rows, events.conversions(rows, Fill("EUR")), strict=True):
        sent = msgspec.json.encode({"type": "order", "currency": "EUR"} | row.cells)
        assert _outcome(event.raw) == _outcome(sent)


def _outcome(raw: bytes):
    try:
        return parse_conversion(raw, Micros(NOW), UTC, lambda: "new")
    except Invalid as invalid:
        return invalid.message


@pytest.fixture
def command(shop, database_url, capsys):
    """`offerlab import` on the shop: its exit code and what it printed."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["import", *map(str, arguments), "--storefront", "shop", "--database", database_url])
        printed = capsys.readouterr()
        return stop.value.code, printed.out, printed.err

    return call


def test_the_command_counts_and_writes_what_it_refused(command, tmp_path):
    path = file(tmp_path, "e.csv", EXPOSURES + "v1,cart-offers,purple,assigned,\nv2,cart-offers,control,seen,\n")
    code, out, _ = command("exposures", path, "--rejects", tmp_path / "rejects.ndjson")
    assert code == 0
    assert out.splitlines()[:4] == [
        "accepted 20", "duplicate 0", "rejected 2",
        "  unknown_variant variant 1 (first on line 22: variant: 'purple' is not among control, bundle)",
    ]  # fmt: skip
    rejects = [json.loads(line) for line in (tmp_path / "rejects.ndjson").read_text().splitlines()]
    assert [(r["line"], r["code"], r["row"]["visitor_id"]) for r in rejects] == [
        (22, "unknown_variant", "v1"), (23, "invalid", "v2"),
    ]  # fmt: skip


def test_a_mistake_ends_in_one_line_and_exit_code_2(command, tmp_path):
    orders = file(tmp_path, "o.csv", "order_id,revenue\no1,1\n")
    for arguments in (
        ("exposures", tmp_path / "nothing.csv"),
        ("exposures", orders),
        ("conversions", orders, "--experiment", "nothing"),
        ("conversions", orders, "--timezone", "Mars/Olympus"),
        ("conversions", orders, "--occurred-at", "noon"),
        ("conversions", file(tmp_path, "x.csv", "order_id,revenue,hat\no1,1,red\n")),
        ("dreams", orders),
    ):
        code, out, err = command(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), (arguments, err)
    assert command("conversions", file(tmp_path, "y.csv", "order_id,revenue\no1,-1\n"))[0] == 1
    assert command("conversions", orders)[:2] == (0, "accepted 1\nduplicate 0\nrejected 0\n")


def test_another_storefront_is_left_alone(engine, shop, command, tmp_path):
    with writing(engine) as conn:
        create_storefront(conn, "other", "USD", "UTC", (), NOW)
    command("conversions", file(tmp_path, "o.csv", "order_id,revenue\no1,1\n"))
    with reading(engine) as conn:
        ids = [row.storefront_id for row in conn.execute(select(conversion.c.storefront_id))]
        assert ids == [get_storefront(conn, "shop").id]


def test_the_documentation_names_every_column_and_alias():
    written = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()
    names = {name for kind in FIELDS for name in (*FIELDS[kind], *ALIASES[kind], *ALIASES[kind].values())} | set(TYPES)
    assert [name for name in sorted(names) if f"`{name}`" not in written] == []
