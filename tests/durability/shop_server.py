"""A shop with a running experiment, its server, and the server's workers."""

from pathlib import Path

import psutil

from experiments.service.settings import create_key
from experiments.storage.database import connect, writing
from tests.serving import Server, start_server
from tests.shop import NOW, experiment, open_shop
from webapp.lab import new_token


def serve_shop(database_url: str, directory: Path, workers: int = 2, **environ: str) -> tuple[Server, str]:
    """The server, and a secret key."""
    engine = connect(database_url)
    shop = open_shop(engine)
    shop.define(experiment())
    with writing(engine) as conn:
        key = create_key(conn, shop.storefront.id, "secret", new_token(), NOW, "test")
    engine.dispose()
    return start_server(database_url, directory, workers=workers, **environ), key


def workers_of(server: Server) -> list[psutil.Process]:
    """The processes that answer."""
    return psutil.Process(server.process.pid).children()
