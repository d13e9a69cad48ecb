"""Bought together on UCI's Online Retail, against a plain DuckDB query of the same.

DuckDB is no dependency: give the Python that has it. Run:
.venv/bin/python -m tests.benchmarks.recommend online_retail.csv [python-with-duckdb]
"""

import csv
import resource
import subprocess
import sys
import time

from analysis.associations import by_segment, suggestions

QUERY = """
import duckdb, resource, sys, time
c = duckdb.connect()
c.execute("create table l as select distinct InvoiceNo o, StockCode p from read_csv('" + sys.argv[1] + "', "
  "all_varchar=true) where InvoiceNo not like 'C%' and cast(Quantity as int) > 0 and cast(UnitPrice as double) > 0")
wall, cpu = time.perf_counter(), time.process_time()
print(c.execute('''with n as (select o from l group by o having count(*) <= 100),
  s as (select p, count(*) c from l group by p), t as (select count(distinct o) n from l)
  select a.p, b.p, count(*) k, count(*) * 1.0 * any_value(t.n) / (any_value(sa.c) * any_value(sb.c)) lift
  from l a join l b on a.o = b.o and a.p < b.p join n on n.o = a.o join s sa on sa.p = a.p join s sb on sb.p = b.p
  cross join t group by all order by k desc limit 1''').fetchall())
print(f"DuckDB: {time.perf_counter() - wall:.2f} s, processor {time.process_time() - cpu:.2f} s, "
  f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
"""


def main(path: str, python: str | None = None) -> None:
    """Print both."""
    baskets: dict[str, list[str]] = {}
    whose: dict[str, str] = {}
    known: set[str] = set()
    with open(path, newline="", encoding="utf-8") as file:  # noqa: PTH123 - a script
        for row in csv.DictReader(file):
            if not row["InvoiceNo"].startswith("C") and int(row["Quantity"]) > 0 and float(row["UnitPrice"]) > 0:
                if row["InvoiceNo"] not in baskets and row["CustomerID"]:
                    whose[row["InvoiceNo"]] = "returning" if row["CustomerID"] in known else "new"
                    known.add(row["CustomerID"])
                baskets.setdefault(row["InvoiceNo"], []).append(row["StockCode"])
    wall, cpu = time.perf_counter(), time.process_time()
    found = suggestions((0, basket) for basket in baskets.values())
    spent = time.perf_counter() - wall, time.process_time() - cpu
    best = max(((c.orders, a, c.product_id, c.lift) for a, several in found.companions.items() for c in several))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{best}\nours: {spent[0]:.2f} s, processor {spent[1]:.2f} s, {memory:.0f} MB with the orders read from CSV")
    wall, cpu = time.perf_counter(), time.process_time()
    parts = by_segment((0, basket, whose.get(invoice)) for invoice, basket in baskets.items())
    spent = time.perf_counter() - wall, time.process_time() - cpu
    told = ", ".join(f"{name} {part.orders}" for name, part in parts.segments.items())
    print(f"with segments ({told} orders): {spent[0]:.2f} s, processor {spent[1]:.2f} s")
    if python is not None:
        subprocess.run([python, "-c", QUERY, path], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
