"""Pages at 500 experiments and 100,000 products: the number of queries is small, and grows with nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import pytest
from flask import Flask

from tests.conftest import sqlite_copy
from tests.ui.browser import Browser
from tests.ui.crowded import fill
from tests.ui.pages import EVERY_PAGE, REPORTS
from tests.ui.statements import counted
from webapp import create_app
from webapp.clock import now
from webapp.config import Settings

FEW, MANY = (16, 200, 4), (500, 100_000, 60)
"""Experiments, products, and of everything else."""
MET = 2000
"""Units of the first experiment, in both."""
MOST = 16
"""Queries of a page, those of the session and of the frame included."""
OF_REPORTS = 25
"""Of a page that a report is read for, once its report is made."""


@contextmanager
def filled(template: Path, directory: Path, experiments: int, products: int, rest: int) -> Iterator[Flask]:
    """The application on a database with so much in it."""
    directory.mkdir()
    app = create_app(Settings(database_url=sqlite_copy(template, directory), secret_key="for tests only"))
    fill(app.extensions["offerlab"].engine, experiments, products, rest, MET, experiments, now())
    yield app
    app.extensions["offerlab"].close()


@pytest.fixture(scope="module")
def apps(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, Flask]]:
    """The application where there is little, and where there is much: filling it takes longer than reading it."""
    made = tmp_path_factory.mktemp("many")
    with filled(template, made / "few", *FEW) as few, filled(template, made / "many", *MANY) as many:
        yield few, many


@pytest.fixture(scope="module")
def admins(apps: tuple[Flask, Flask]) -> tuple[Browser, ...]:
    """Somebody in each who may see every page, once its snapshot is there."""
    browsers = tuple(Browser.signed_in(app, "admin") for app in apps)
    for browser in browsers:
        while browser.get("/s/shop/catalogue/").status_code == 503:  # pytest's own limit ends a wait in vain
            sleep(0.2)
    return browsers


@pytest.fixture(scope="module")
def many(admins: tuple[Browser, ...]) -> Browser:
    return admins[1]


@pytest.fixture(scope="module")
def queries(apps: tuple[Flask, Flask], admins: tuple[Browser, ...]) -> Callable[[str], list[list[str]]]:
    """The queries that a page makes when it is looked at again, where there is little and where there is much."""

    def made(path: str) -> list[list[str]]:
        found = []
        for app, browser in zip(apps, admins, strict=True):
            answer = browser.get(path)
            assert answer.status_code < 400, (path, answer.status_code, answer.text)
            with counted(app) as said:
                browser.get(path)
            # the snapshot's own look at its revision, by its own thread, is no page's query
            found.append([statement for statement in said if "revision" not in statement])
        return found

    return made


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_a_page_makes_few_queries_however_much_there_is(name: str, queries: Callable[[str], list[list[str]]]) -> None:
    few, many = queries(EVERY_PAGE[name])
    assert len(many) <= (OF_REPORTS if name.partition(",")[0] in REPORTS else MOST), many
    assert len(many) <= len(few), [statement for statement in many if statement not in few] or many


def test_every_page_is_among_those(apps: tuple[Flask, Flask]) -> None:
    rules = [rule for rule in apps[0].url_map.iter_rules() if rule.rule.startswith("/s/<storefront>")]
    pages = {rule.endpoint for rule in rules if "GET" in (rule.methods or ())}
    assert pages == {name.partition(",")[0] for name in EVERY_PAGE}


def test_a_page_of_the_list_shows_fifty(many: Browser) -> None:
    assert many.text("/s/shop/?shelf=").count('<th scope="row">') == 50
    assert "Experiment 4<" in many.text("/s/shop/?q=experiment+4&page=99")


def test_a_report_shows_twenty_of_the_experiments_that_met_its_visitors(many: Browser) -> None:
    section = many.text("/s/shop/experiments/e-0/report").partition('id="overlaps"')[2].partition("</section>")[0]
    assert section.count('<th scope="row">') == 20
    assert "374 experiments" in section
    assert "and 354 more" in section


def test_a_large_catalogue_is_searched_not_sent(many: Browser) -> None:
    page = many.text("/s/shop/experiments/new?guide=")
    assert "data-search=" in page
    assert len(page) < 220_000
