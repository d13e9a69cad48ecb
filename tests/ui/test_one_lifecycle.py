"""Pages, API and command line are one lifecycle: whatever is done in whatever order, they give the same answers."""

from pathlib import Path
from time import sleep

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from werkzeug.test import TestResponse

from experiments.definition import to_json
from experiments.lifecycle import TRANSITIONS, after, allowed, possible
from experiments.moment import SECOND
from experiments.service import defining
from experiments.service.settings import change_settings, create_key
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment, read_audit
from tests.conftest import sqlite_copy
from tests.shop import a_a, open_shop
from tests.ui.browser import Browser
from webapp import create_app
from webapp.cli import main
from webapp.clock import now
from webapp.config import Settings
from webapp.lab import new_token

DOORS = ("page", "api", "cli")
PLAIN = ["start", "close", "reopen", "pause", "resume", "unschedule", "stop", "archive"]
WHEN = "2099-01-01T09:00"


class Doors(RuleBasedStateMachine):
    """Three experiments live the same life, each through its own door; the model says what must happen."""

    app: Flask
    url: str

    def __init__(self) -> None:
        super().__init__()
        engine = self.app.extensions["offerlab"].engine
        self.number = Doors.made = getattr(Doors, "made", 0) + 1
        self.shop = open_shop(engine, f"shop{self.number}")
        for door in DOORS:
            self.shop.define(a_a(door, placement=door, coverage=1000), start=False, now=now())
        with writing(engine) as conn:
            self.key = create_key(conn, self.shop.storefront.id, "admin", new_token(), now(), "test")
        self.browser: Browser = self.signed_in
        self.api: FlaskClient = self.app.test_client()
        self.state = "draft"
        self.coverage = 1000
        self.ramped = 0
        self.planned = False
        self.started = False
        self.wrote = False
        self.hypothesis = ""
        self.demanded = False
        self.said: list[tuple[str, str]] = []  # each step of the review, with the hypothesis that it was about

    @property
    def stands(self) -> str:
        """Where the review stands."""
        answer = next((one for one in reversed(self.said) if one[0] != "requested"), None)
        if answer is not None and answer[0] in {"approved", "overridden"}:
            if self.started or answer[1] == self.hypothesis:
                return answer[0]
            if self.said[-1] is answer:
                return "stale"
        return self.said[-1][0] if self.said else "none"

    @property
    def may_start(self) -> bool:
        return not self.demanded or self.stands in {"approved", "overridden"}

    signed_in: Browser

    def _post(self, path: str, body: dict[str, object]) -> TestResponse:
        return self.api.post(path, json=body, headers={"Authorization": f"Bearer {self.key}"})

    def _cli(self, *arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["experiment", *arguments, "--storefront", self.shop.storefront.key, "--database", self.url])
        code = ended.value.code
        assert isinstance(code, int)
        return code

    def _page(self, action: str, **fields: str) -> int:
        path = f"/s/{self.shop.storefront.key}/experiments/page/{action}"
        token = self.browser.form("/s/shop/").get("csrf_token")[0]
        return self.browser.client.post(path, data={"csrf_token": token, **fields}).status_code

    def _all(self, action: str, expected: str, page: int, api: int, cli: int) -> None:
        """What each door answered, as one word."""
        said = {
            "page": {302: "done", 409: "conflict", 422: "invalid"}[page],
            "api": {200: "done", 201: "done", 409: "conflict", 422: "invalid"}[api],
            "cli": {0: "done", 1: "conflict", 2: "invalid"}[cli],
        }
        assert said == dict.fromkeys(DOORS, expected), (action, self.state)

    @rule(action=st.sampled_from(PLAIN))
    def plain(self, action: str) -> None:
        expected = "done" if action in allowed(self.state) and (action != "start" or self.may_start) else "conflict"
        path = f"/api/v1/experiments/api/{action}"
        self._all(action, expected, self._page(action), self._post(path, {}).status_code, self._cli(action, "cli"))
        if expected == "done":
            waits = action == "start" and self.state == "draft" and self.planned
            self.state = after(self.state, "schedule" if waits else action)
            self.started |= self.state == "running"
            self.planned &= not self.started  # what is started by hand before its time has no planned start any more

    @rule(ship=st.booleans())
    def decide(self, ship: bool) -> None:
        expected = "done" if "decide" in allowed(self.state) else "conflict"
        variant = "t1" if ship else None
        page = self._page("decide", decision=f"variant:{variant}" if variant else "none", reason="so")
        api = self._post("/api/v1/experiments/api/decide", {"variant": variant, "reason": "so"}).status_code
        cli = self._cli("decide", "cli", "--reason", "so", *(("--ship", "t1") if ship else ()))
        self._all("decide", expected, page, api, cli)
        if expected == "done":
            self.state = "decided"

    @rule()
    def schedule(self) -> None:
        ready = self.state == "scheduled" or (self.state == "draft" and self.may_start)
        expected = "done" if ready else "conflict"
        if self.state in {"running", "closed", "paused"}:
            expected = "invalid"  # it has started: only its end may move
        page = self._page("schedule", start_at=WHEN)
        api = self._post("/api/v1/experiments/api/schedule", {"start_at": WHEN}).status_code
        self._all("schedule", expected, page, api, self._cli("schedule", "cli", "--start", WHEN))
        if expected == "done":
            self.wrote |= self.state == "draft"
            self.state, self.planned = "scheduled", True

    @rule()
    def turn_the_demand_for_reviews(self) -> None:
        self.demanded = not self.demanded
        with writing(self.shop.engine) as conn:
            change_settings(conn, self.shop.storefront, {"review_required": self.demanded}, "test", now())

    @rule(
        step=st.sampled_from(["requested", "approved", "approved", "changes_requested", "overridden"]),
        why=st.booleans(),
    )
    def review(self, step: str, why: bool) -> None:
        message = "Because." if why else ""
        expected = "done" if "review" in allowed(self.state) else "conflict"
        if expected == "done" and step in {"changes_requested", "overridden"} and not why:
            expected = "invalid"
        if step == "approved" and self.wrote:
            expected = "conflict"  # who set its times wrote a version, and nobody approves their own work
        page = self._page("review", do=step, message=message)
        api = self._post("/api/v1/experiments/api/review", {"review": step, "message": message}).status_code
        self._all("review", expected, page, api, self._cli("review", "cli", step, "--message", message))
        if expected == "done":
            self.said.append((step, self.hypothesis))

    @rule(
        hypothesis=st.sampled_from(["", "It earns more.", "It earns less."]), tags=st.lists(st.just("tag"), max_size=1)
    )
    def rewrite(self, hypothesis: str, tags: list[str]) -> None:
        """Somebody else's version, of a draft; which tags it has is nobody's business."""
        if self.state != "draft":
            return
        self.hypothesis = hypothesis
        with writing(self.shop.engine) as conn:
            for door in DOORS:
                found = get_experiment(conn, self.shop.storefront.id, door)
                value = to_json(found.definition) | {"hypothesis": hypothesis, "about": {"tags": tags}}
                defining.edit(conn, self.shop.storefront, door, value, "test", now())

    @rule()
    def start_what_the_model_lets_start(self) -> None:
        """The way that chance seldom goes: a demand, an approval, a start."""
        if self.state == "draft" and not self.demanded:
            self.turn_the_demand_for_reviews()
        self.plain("start")
        self.review("approved", why=True)
        self.plain("start")

    @rule(coverage=st.sampled_from([500, 1000, 2000, 5000, 10_000]))
    def ramp(self, coverage: int) -> None:
        while now() // SECOND <= self.ramped:  # two steps within one second are one too many
            sleep(0.05)
        expected = "conflict"
        if "amend" in allowed(self.state):
            # of what is planned for later the first step cannot come before that
            expected = "done" if coverage > self.coverage and not self.planned else "invalid"
        page = self._page("ramp", coverage=str(coverage / 100))
        api = self._post("/api/v1/experiments/api/ramp", {"coverage": coverage}).status_code
        self._all("ramp", expected, page, api, self._cli("ramp", "cli", "--coverage", f"{coverage / 100}%"))
        if expected == "done":
            self.coverage, self.ramped = coverage, now() // SECOND

    @rule()
    def edit(self) -> None:
        expected = {True: "done", False: "conflict"}["edit" in allowed(self.state)]
        if expected == "done":
            return  # what an edit does has tests of its own
        body = a_a("api", placement="api", coverage=1000)
        headers = {"Authorization": f"Bearer {self.key}"}
        assert self.api.put("/api/v1/experiments/api", json=body, headers=headers).status_code == 409
        assert self.browser.get(f"/s/{self.shop.storefront.key}/experiments/page/edit").status_code == 409

    @invariant()
    def all_are_in_the_models_state_and_say_what_is_possible(self) -> None:
        with reading(self.shop.engine) as conn:
            found = {door: get_experiment(conn, self.shop.storefront.id, door) for door in DOORS}
            trails = {
                door: [e.action for e in read_audit(conn, self.shop.storefront.id, f"experiment:{door}")]
                for door in DOORS
            }
        assert {door: e.state for door, e in found.items()} == dict.fromkeys(DOORS, self.state)
        assert trails["page"] == trails["api"] == trails["cli"]
        for door in DOORS:
            told = self.api.get(
                f"/api/v1/experiments/{door}/review", headers={"Authorization": f"Bearer {self.key}"}
            ).get_json()
            assert (told["standing"], told["may_start"]) == (self.stands, self.may_start)
        page = self.browser.text(f"/s/{self.shop.storefront.key}/experiments/page")
        shown = {a for a in (*TRANSITIONS, "ramp", "duplicate") if f'/experiments/page/{a}"' in page}
        assert shown == set(possible(self.state))


@pytest.mark.hypothesis
def test_every_door_is_the_same_lifecycle(tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = sqlite_copy(template, tmp_path)
    app = create_app(Settings(database_url=url, secret_key="for tests only"))
    open_shop(app.extensions["offerlab"].engine)
    Doors.app, Doors.url, Doors.signed_in = app, url, Browser.signed_in(app, "admin")
    try:
        run_state_machine_as_test(
            Doors,
            settings=settings(
                max_examples=4,
                stateful_step_count=10,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],  # a failure of ten steps is short enough, and shrinking one takes minutes
            ),
        )
    finally:
        app.extensions["offerlab"].close()
