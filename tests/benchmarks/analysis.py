"""`analyze` against tea-tasting on the same file and metrics: ratios of one run, interleaved.

    python -m tests.benchmarks.analysis --rows 1000000 --kind parquet --tea-tasting /path/to/python

where that Python has tea-tasting, pyarrow and, for its DuckDB reading, ibis-framework[duckdb]. Processor seconds say
more than seconds where others use the machine too.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

OURS = """
from analysis import Metric, analyze
metrics = [Metric("conversion", "proportion", "converted"),
           Metric("rpv", "mean", "revenue", covariates=("revenue_pre",)), Metric("aov", "ratio", "revenue", "orders")]
def run(path):
    return analyze(path, metrics=metrics, control="control", correction="none")
"""
TEA_TASTING = """
import tea_tasting as tt
from pyarrow import csv, parquet
test = tt.Experiment(conversion=tt.Mean("converted"), rpv=tt.Mean("revenue", "revenue_pre"),
                     aov=tt.RatioOfMeans("revenue", "orders"))
columns = ["variant", "converted", "orders", "revenue", "revenue_pre"]
def run(path):
    table = csv.read_csv(path) if path.endswith(".csv") else parquet.read_table(path, columns=columns)
    return test.analyze(table, control="control", all_variants=True)
"""
TEA_TASTING_DUCKDB = """
import ibis
import tea_tasting as tt
test = tt.Experiment(conversion=tt.Mean("converted"), rpv=tt.Mean("revenue", "revenue_pre"),
                     aov=tt.RatioOfMeans("revenue", "orders"))
def run(path):
    source = ibis.duckdb.connect()
    table = source.read_csv(path) if path.endswith(".csv") else source.read_parquet(path)
    return test.analyze(table, control="control", all_variants=True)
"""
TIMED = """
import resource, sys, time
run(sys.argv[1])
best, busy = [], []
for _ in range(int(sys.argv[2])):
    start, spent = time.perf_counter(), time.process_time()
    run(sys.argv[1])
    best.append(time.perf_counter() - start)
    busy.append(time.process_time() - spent)
print(min(best), min(busy), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def traffic(rows: int) -> pa.Table:
    """Visitors of four variants, 5% buyers with heavy-tailed orders, a third with a history."""
    rng = np.random.default_rng(20)
    bought = rng.random(rows) < 0.05
    orders = np.where(bought, 1 + rng.poisson(0.3, rows), 0)
    before = np.where(rng.random(rows) < 0.3, np.round(rng.lognormal(3.5, 0.9, rows), 2), 0.0)
    revenue = np.where(bought, np.round(rng.lognormal(3.5, 0.9, rows) * orders + 0.1 * before, 2), 0.0)
    return pa.table({
        "visitor": np.arange(rows), "variant": rng.choice(["control", "upsell", "cross_sell", "bundle"], rows),
        "converted": bought.astype(np.int64), "orders": orders, "revenue": revenue, "revenue_pre": before,
    })  # fmt: skip


def main() -> None:
    """Print seconds, memory and the ratio to ours, median of the rounds."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--repeats", type=int, default=3, help="in one process, of which the best counts")
    options.add_argument("--kind", choices=["csv", "parquet"], action="append", help="both unless said")
    options.add_argument("--tea-tasting", help="a Python that has tea-tasting")
    asked = options.parse_args()
    contenders = {"offerlab": (sys.executable, OURS)}
    if asked.tea_tasting:
        contenders["tea-tasting on Arrow"] = (asked.tea_tasting, TEA_TASTING)
        contenders["tea-tasting on DuckDB"] = (asked.tea_tasting, TEA_TASTING_DUCKDB)
    with tempfile.TemporaryDirectory() as directory:
        table = traffic(asked.rows)
        if "csv" in (asked.kind or ["csv"]):
            csv.write_csv(table, f"{directory}/test.csv")
        if "parquet" in (asked.kind or ["parquet"]):
            parquet.write_table(table, f"{directory}/test.parquet")
        del table
        for path in sorted(Path(directory).iterdir()):
            measured: dict[str, list[tuple[float, ...]]] = {name: [] for name in contenders}
            for _ in range(asked.rounds):
                for name, (python, program) in contenders.items():
                    measured[name].append(_timed(python, program, path, asked.repeats))
            first = [statistics.median(x) for x in zip(*measured["offerlab"], strict=True)]
            for name, runs in measured.items():
                seconds, busy, memory = (statistics.median(x) for x in zip(*runs, strict=True))
                print(
                    f"{path.suffix:9} {name:22} {seconds:.3f} s ({seconds / first[0]:.2f})  "
                    f"{busy:.3f} processor s ({busy / first[1]:.2f})  {memory:.0f} MB",
                    flush=True,
                )


def _timed(python: str, program: str, path: Path, repeats: int) -> tuple[float, float, float]:
    command = [python, "-c", program + TIMED, str(path), str(repeats)]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    *_, seconds, busy, memory = out.stdout.split()  # DuckDB may draw a progress bar first
    return float(seconds), float(busy), float(memory)


if __name__ == "__main__":
    main()
