"""The planner answers what its address asks, as the command line does; what it cannot know it asks for."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from tests.shop import Shop
from tests.ui.browser import Browser
from webapp.cli.plan import plan

SignIn = Callable[[str], Browser]
ASKED = "baseline=3%25&mde=5%25&daily=40000&variants=4&monitoring=fixed&weeks=8"


def test_it_says_what_the_command_says(shop: Shop, sign_in: SignIn) -> None:
    page = sign_in("viewer").text(f"/s/{shop.storefront.key}/planner/?{ASKED}")
    given = ["--baseline", "3%", "--mde", "5%", "--daily-visitors", "40000", "--variants", "4", "--format", "json"]
    said = CliRunner().invoke(plan, given)
    found = json.loads(said.output)
    assert f"{found['units']:,}" in page
    assert f"needs {found['weeks']} weeks" in page


def test_what_cannot_be_found_is_an_answer(shop: Shop, sign_in: SignIn) -> None:
    page = sign_in("viewer").text(f"/s/{shop.storefront.key}/planner/?{ASKED.replace('40000', '10')}")
    assert "cannot be found in 8 weeks" in page


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "baseline"),
        ("", "daily"),
        ("daily=100", "baseline"),
        ("baseline=3%25&daily=none", "daily"),
        ("baseline=3%25&daily=9&mde=0", "mde"),
        ("metric=aov&baseline=50&daily=9", "deviation"),
        ("baseline=2&daily=9", "baseline"),
        ("variants=1", "variants"),
    ],
)
def test_what_is_not_known_is_asked_for(shop: Shop, sign_in: SignIn, query: str, field: str) -> None:
    answer = sign_in("viewer").get(f"/s/{shop.storefront.key}/planner/?{query}")
    assert answer.status_code in {200, 422}
    assert f'id="{field}-error"' in answer.text
