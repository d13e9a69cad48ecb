"""Every program in docs/integrate.md is run as it stands there, where its runtime is; browsers' are in tests/e2e."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.protocols.pages import programs
from tests.protocols.starting import settle, start
from tests.serving import Tenant
from tests.shop import experiment

PROGRAMS = programs("integrate.md")
NPM = Path(__file__).parents[1] / "e2e" / "node_modules"


def test_the_page_has_a_program_for_every_runtime() -> None:
    assert PROGRAMS.keys() == {
        "curl.sh", "openfeature_python.py", "growthbook_python.py", "openfeature_node.mjs", "growthbook_node.mjs",
        "openfeature_web.mjs", "growthbook_php.php",
    }  # fmt: skip


@pytest.fixture
def shop(tenant: Tenant) -> Tenant:
    start(tenant, experiment())
    return tenant


def run(shop: Tenant, name: str, directory: Path, *command: str) -> str:
    """What the program prints."""
    program = directory / name
    program.write_text(PROGRAMS[name])
    environ = os.environ | {
        "OFFERLAB_URL": shop.public.url, "OFFERLAB_SECRET_KEY": shop.secret.key, "OFFERLAB_PUBLIC_KEY": shop.public.key,
    }  # fmt: skip
    done = subprocess.run(
        [*command, str(program)], capture_output=True, text=True, timeout=60, env=environ, cwd=directory, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def served(shop: Tenant) -> dict[str, str]:
    body = {"visitor_id": "visitor-42", "placement": "cart", "context": {"product_id": "A1"}, "record": False}
    found: dict[str, str] = shop.secret.post("/v1/assignments", body).json()
    return found


def was_viewed(shop: Tenant) -> bool:
    """Whether the exposure is there: the same once more is then a duplicate."""
    seen = {"visitor_id": "visitor-42", "experiment": "offers", "variant": served(shop)["variant"], "kind": "viewed"}
    return bool(shop.secret.post("/v1/exposures", seen).json()["duplicate"])


def was_ordered(shop: Tenant, order_id: str) -> bool:
    order = {"type": "order", "order_id": order_id, "visitor_id": "visitor-42", "revenue": "24.00", "currency": "EUR"}
    return bool(shop.secret.post("/v1/conversions", order).json()["duplicate"])


def test_curl(shop: Tenant, tmp_path: Path) -> None:
    if not (shutil.which("curl") and shutil.which("sh")):
        pytest.skip("curl is not installed")
    said = run(shop, "curl.sh", tmp_path, "sh").splitlines()
    assigned, dismissed, ordered = map(json.loads, said)
    assert assigned["in_experiment"]
    assert dismissed == ordered == {"accepted": 1, "duplicate": 0, "rejected": []}
    assert was_ordered(shop, "1001")


def test_openfeature_python(shop: Tenant, tmp_path: Path) -> None:
    said = run(shop, "openfeature_python.py", tmp_path, sys.executable)
    assert said.split() == [served(shop)["variant"], "SPLIT", served(shop)["offer"]["type"]]
    assert was_viewed(shop)


def test_growthbook_python(shop: Tenant, tmp_path: Path) -> None:
    said = run(shop, "growthbook_python.py", tmp_path, sys.executable)
    assert said.split() == [served(shop)["variant"], "experiment", served(shop)["offer"]["type"]]
    settle(lambda: was_viewed(shop) and was_ordered(shop, "1002"))


def node(directory: Path) -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    if not NPM.is_dir():
        pytest.skip("the JavaScript clients are not installed: npm ci in tests/e2e")
    (directory / "node_modules").symlink_to(NPM)
    return found


@pytest.mark.e2e
def test_openfeature_node(shop: Tenant, tmp_path: Path) -> None:
    said = run(shop, "openfeature_node.mjs", tmp_path, node(tmp_path))
    assert said.split() == [served(shop)["variant"], "SPLIT", served(shop)["offer"]["type"]]
    assert was_viewed(shop)


@pytest.mark.e2e
def test_growthbook_node(shop: Tenant, tmp_path: Path) -> None:
    said = run(shop, "growthbook_node.mjs", tmp_path, node(tmp_path))
    assert said.split() == [served(shop)["variant"], "experiment", served(shop)["offer"]["type"]]
    settle(lambda: was_viewed(shop) and was_ordered(shop, "1003"))


@pytest.mark.e2e
def test_growthbook_php(shop: Tenant, tmp_path: Path) -> None:
    php, vendor = shutil.which("php"), NPM.parent / "vendor"
    if php is None:
        pytest.skip("php is not installed")
    if not vendor.is_dir():
        pytest.skip("growthbook/growthbook is not installed: composer require it in tests/e2e")
    (tmp_path / "vendor").symlink_to(vendor)
    said = run(shop, "growthbook_php.php", tmp_path, php)
    assert said.split() == [served(shop)["variant"], "experiment", served(shop)["offer"]["type"]]
    assert was_viewed(shop)
