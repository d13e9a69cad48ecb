"""`offerlab demo`."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webapp.cli import options
from webapp.clock import now
from webapp.lab import new_token

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from experiments.moment import Micros
    from experiments.storage.keys import KeyKind

PERSON = "demo@offerlab.example"
KINDS: "tuple[KeyKind, ...]" = ("public", "secret", "admin")
ACTOR = "demo"


@click.command("demo")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@options.database
def command(port: int, database: str | None) -> None:
    """Fill an empty database with a demo storefront, and serve it. A second start finds it as it was left."""
    from experiments.demo import storefront
    from experiments.storage.database import upgrade
    from webapp.cli.serve import run

    url = f"http://127.0.0.1:{port}"
    with options.opened(database, checked=False) as engine:
        upgrade(engine)
        if not storefront.is_filled(engine):
            click.echo("Filling the database with a demo: three weeks of a coffee shop. This takes a moment.", err=True)
            storefront.fill(engine, now())
            _suggest(engine)
            _keep_decisions(engine)
        keys_file = _keys_file(engine)
        keys = _keys(engine, keys_file, now())
        link = _login_link(engine, url, now())
    click.echo(f"Offerlab is at {url}")
    click.echo(f"sign in once with: {link}")
    for kind in KINDS:
        click.echo(f"{kind} key: {keys[kind]}")
    click.echo(f"the demo's shop is at {url}/shop/")
    os.environ["OFFERLAB_SHOP_KEYS"] = str(keys_file.absolute())
    sys.stdout.flush()  # the server takes over: whoever reads these lines from a pipe needs them now
    run("127.0.0.1", port, 2, database)


def _suggest(engine: "Engine") -> None:
    """What the demo's orders suggest, from the first page on; a server would work it out within a minute."""
    from analysis import recommending
    from experiments.demo.storefront import KEY
    from experiments.storage.database import reading
    from experiments.storage.storefronts import get_storefront

    with reading(engine) as conn:
        demo = get_storefront(conn, KEY)
    recommending.refresh(engine, demo, now())


def _keep_decisions(engine: "Engine") -> None:
    """The reports that the demo's decisions were made by, as they were then."""
    from experiments.demo.storefront import KEY
    from experiments.storage.database import writing
    from experiments.storage.decisions import keep_decision
    from experiments.storage.registry import experiments
    from experiments.storage.storefronts import get_storefront
    from webapp.deciding import snapshot_of

    with writing(engine) as conn:
        demo = get_storefront(conn, KEY)
        for experiment in experiments(conn, demo.id):
            if experiment.decided_at is not None:
                keep_decision(conn, experiment.id, snapshot_of(conn, demo, experiment, experiment.decided_at))


def _keys_file(engine: "Engine") -> Path:
    """Beside a SQLite database; else in instance/. The database keeps digests only, so the demo keeps its own keys."""
    url = engine.url
    directory = Path(url.database or "").parent if url.get_backend_name() == "sqlite" else Path("instance")
    directory.mkdir(parents=True, exist_ok=True)
    return directory / "demo_keys.json"


def _keys(engine: "Engine", path: Path, at: "Micros") -> "dict[KeyKind, str]":
    """The demo's keys: those of the last start where they still open this database, else new ones."""
    from experiments.demo.storefront import KEY
    from experiments.service.settings import create_key
    from experiments.storage.database import reading, writing
    from experiments.storage.keys import digest, live_keys
    from experiments.storage.storefronts import get_storefront

    with reading(engine) as conn:
        storefront = get_storefront(conn, KEY)
        live = {(key.kind, key.digest) for key in live_keys(conn) if key.storefront_id == storefront.id}
    kept = _kept(path)
    if all(kind in kept and (kind, digest(kept[kind])) in live for kind in KINDS):
        return {kind: kept[kind] for kind in KINDS}
    with writing(engine) as conn:
        made = {kind: create_key(conn, storefront.id, kind, new_token(), at, ACTOR) for kind in KINDS}
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(made, file)
    return made


def _kept(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {str(kind): str(key) for kind, key in kept.items()} if isinstance(kept, dict) else {}


def _login_link(engine: "Engine", url: str, at: "Micros") -> str:
    """A link that signs the demo's admin in, once."""
    from experiments.errors import NotFound
    from experiments.service.people import issue_link
    from experiments.storage.database import writing
    from experiments.storage.users import add_user, find_user
    from webapp.cli.user import link_address

    token = new_token()
    with writing(engine) as conn:
        try:
            person = find_user(conn, PERSON)
        except NotFound:
            person = add_user(conn, PERSON, "admin", at)
        issue_link(conn, person, "sign_in", token, at)
    return link_address(url, token)
