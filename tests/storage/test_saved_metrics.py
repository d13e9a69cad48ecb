"""A storefront's own metrics: versions, what definitions take of them, and that what has started keeps what it took."""

from typing import Any

import pytest
from sqlalchemy import Engine

from experiments.errors import Conflict, Invalid, NotFound
from experiments.service import defining
from experiments.service.measuring import change_metric, metric_uses, save_metric, with_metrics
from experiments.service.settings import create_storefront
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment
from experiments.storage.savedmetrics import metric_versions, saved_metrics
from experiments.storage.storefronts import Storefront
from tests.shop import NOW, a_a

ASKED: dict[str, Any] = {"key": "asked", "type": "mean", "numerator": "event:asked", "name": "Questions asked"}
PLAN = {"primary": "conversion", "secondary": ["asked"]}


@pytest.fixture
def home(engine: Engine) -> Storefront:
    with writing(engine) as conn:
        return create_storefront(conn, "own", "EUR", "Europe/Berlin", [], NOW)


def test_a_metric_is_saved_by_versions(engine: Engine, home: Storefront) -> None:
    with writing(engine) as conn:
        made = save_metric(conn, home.id, ASKED, "ann", NOW)
        changed = change_metric(conn, home.id, "asked", ASKED | {"direction": "decrease", "version": 1}, "bob", NOW)
        assert (made.saved.version, changed.saved.version) == (1, 2)
        assert saved_metrics(conn, home.id) == {"asked": changed}
        assert list(metric_versions(conn, home.id, "asked")) == [changed, made]
        for value, refusal in (
            (ASKED | {"version": 1}, Conflict),  # somebody else was first
            (ASKED | {"key": "other"}, Invalid),
            (ASKED | {"type": "median"}, Invalid),
        ):
            with pytest.raises(refusal):
                change_metric(conn, home.id, "asked", value, "ann", NOW)
        with pytest.raises(Conflict):
            save_metric(conn, home.id, ASKED, "ann", NOW)
        with pytest.raises(NotFound):
            change_metric(conn, home.id, "none", ASKED | {"key": "none"}, "ann", NOW)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"numerator": "happiness"}, "numerator"),
        ({"numerator": "event:order"}, "numerator"),
        ({"type": "proportion"}, "numerator"),  # a count is no share
        ({"type": "ratio"}, "denominator"),
        ({"denominator": "orders"}, "denominator"),
        ({"type": "ratio", "denominator": "event:asked"}, "denominator"),
        ({"type": "proportion", "numerator": "with_event:asked", "cap": 0.99}, "cap"),
        ({"cap": 0.5}, "cap"),
        ({"key": "aov"}, "key"),
        ({"key": "no key"}, "key"),
        ({"quantile": 0.5}, "quantile"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_its_field(
    engine: Engine, home: Storefront, changes: dict[str, Any], field: str
) -> None:
    with writing(engine) as conn, pytest.raises(Invalid) as refused:
        save_metric(conn, home.id, ASKED | changes, "ann", NOW)
    assert field in {error.field for error in refused.value.errors}


def test_what_has_started_keeps_the_metric_it_took(engine: Engine, home: Storefront) -> None:
    with writing(engine) as conn:
        save_metric(conn, home.id, ASKED, "ann", NOW)
        for key in ("runs", "waits"):
            defining.create(conn, home, a_a(key, metrics=PLAN), "ann", NOW)
        begun = defining.start(conn, home, "runs", "ann", NOW)
        fingerprint = begun.definition.fingerprint
        change_metric(conn, home.id, "asked", ASKED | {"direction": "decrease"}, "ann", NOW)
        defining.amend(conn, home, "runs", {"name": "Other"}, "ann", NOW)
        defining.edit(conn, home, "waits", a_a("waits", metrics=PLAN), "ann", NOW)
    with reading(engine) as conn:
        runs, waits = (get_experiment(conn, home.id, key) for key in ("runs", "waits"))
        assert runs.definition.known_metrics["asked"].direction == "increase"
        assert runs.definition.fingerprint == fingerprint
        assert waits.definition.known_metrics["asked"].direction == "decrease"
        used = {use.experiment: use.version for use in metric_uses(conn, home.id)["asked"]}
        assert used == {"runs": 1, "waits": 2}
    with writing(engine) as conn, pytest.raises(Invalid) as refused:
        defining.amend(conn, home, "runs", {"saved_metrics": {}}, "ann", NOW)
    assert {"saved_metrics"} <= {error.field for error in refused.value.errors} | {"saved_metrics"}


def test_what_a_client_writes_of_a_metric_is_not_taken(engine: Engine, home: Storefront) -> None:
    """The library says what a metric is; a key that it does not know is refused where it is named."""
    made_up = {"asked": {"type": "mean", "numerator": "orders"}}
    with writing(engine) as conn:
        with pytest.raises(Invalid) as refused:
            defining.create(conn, home, a_a("one", metrics=PLAN, saved_metrics=made_up), "ann", NOW)
        assert {error.field for error in refused.value.errors} == {"metrics.secondary[0]"}
        save_metric(conn, home.id, ASKED, "ann", NOW)
        taken = defining.create(conn, home, a_a("two", metrics=PLAN, saved_metrics=made_up), "ann", NOW)
        assert taken.definition.saved_metrics["asked"].numerator == "event:asked"
        assert with_metrics(conn, home.id, {"metrics": "nonsense", "rule": 3}) == {"metrics": "nonsense", "rule": 3}
