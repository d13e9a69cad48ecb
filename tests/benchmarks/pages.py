"""What every page costs at 500 experiments and 100,000 products, beside an empty page of the same application.

The empty page has the frame alone: the session, who is signed in, the storefront, the navigation. Times are of the
whole call by WSGI, without a server, in interleaved rounds. The first look at a page counts apart, as what is kept of
it is made then.

Run: .venv/bin/python -m tests.benchmarks.pages [rounds] [experiments] [products]
"""

import statistics
import sys
import time
from collections.abc import Mapping

from flask import Flask, render_template_string

from tests.benchmarks.report import databases
from tests.ui.browser import Browser
from tests.ui.crowded import fill
from tests.ui.pages import EVERY_PAGE
from tests.ui.statements import counted
from webapp import create_app
from webapp.clock import now
from webapp.config import Settings
from webapp.ui.person import page

EMPTY = "/s/shop/nothing"
DECIDED = 500
UNITS = 20_000
"""Of the first experiment; every other that has started has twenty."""
SETTINGS = 30
"""Of placements, layers, audiences, saved offers, metrics, keys, people and drafts each."""


def add_empty_page(app: Flask) -> None:
    """A page of the storefront with nothing but the frame."""

    @app.get("/s/<storefront>/nothing")
    @page()
    def nothing() -> str:
        return render_template_string("{% extends 'layout.html' %}")


def measured(browser: Browser, path: str) -> tuple[float, float]:
    """Milliseconds of processor time of the process, and by the clock."""
    begun, worked = time.perf_counter(), time.process_time()
    answer = browser.get(path)
    took = (1000 * (time.process_time() - worked), 1000 * (time.perf_counter() - begun))
    if answer.status_code >= 400:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
    return took


def look(app: Flask, rounds: int, pages: Mapping[str, str]) -> None:
    """Print a line for each page."""
    admin = Browser.signed_in(app, "admin")
    while admin.get("/s/shop/catalogue/").status_code == 503:  # the snapshot is being read
        time.sleep(0.2)
    paths = [EMPTY, *pages.values()]
    first = {path: measured(admin, path) for path in paths}
    runs: dict[str, list[tuple[float, float]]] = {path: [] for path in paths}
    for _ in range(rounds):
        for path in paths:
            runs[path].append(measured(admin, path))
    empty = statistics.median(worked for worked, _ in runs[EMPTY])
    print("| page | queries | processor ms | by the clock ms | ratio to the empty page | first look ms |")
    print("|---|---|---|---|---|---|")
    for path in paths:
        worked, took = (statistics.median(column) for column in zip(*runs[path], strict=True))
        with counted(app) as said:
            admin.get(path)
        queries = sum("revision" not in statement for statement in said)
        print(f"| `{path}` | {queries} | {worked:.0f} | {took:.0f} | {worked / empty:.1f} | {first[path][0]:.0f} |")


def main(rounds: int = 7, experiments: int = 500, products: int = 100_000) -> None:
    """Print a table for each database."""
    with databases() as engines:
        for name, engine in engines.items():
            fill(engine, experiments, products, SETTINGS, UNITS, DECIDED, now())
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
                conn.exec_driver_sql("ANALYZE")
            url = engine.url.render_as_string(hide_password=False)
            app = create_app(Settings(database_url=url, secret_key="of this benchmark only"))
            add_empty_page(app)
            print(f"\n{name}\n")
            try:
                look(app, rounds, EVERY_PAGE)
            finally:
                app.extensions["offerlab"].close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
