"""The real server, on a free port, in its own process; or an application in this one, for what only asks it."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import Engine
from werkzeug.serving import make_server

from experiments.service.settings import create_key
from experiments.storage.database import connect, writing
from experiments.storage.keys import KeyKind
from experiments.storage.storefronts import get_storefront
from tests.shop import NOW, open_shop
from webapp.lab import new_token


@dataclass
class Server:
    """`offerlab serve` on a database."""

    url: str
    database_url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(30)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_server(database_url: str, directory: Path, workers: int = 1, **environ: str) -> Server:
    """A server that answers; what it said is in its log."""
    port = free_port()
    log = directory / f"server-{port}.log"
    command = [sys.executable, "-m", "webapp.cli", "serve", "--port", str(port), "--workers", str(workers)]
    env = os.environ | {"OFFERLAB_DATABASE_URL": database_url, "OFFERLAB_SECRET_KEY": "test"} | environ
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=env, cwd=directory)
    server = Server(f"http://127.0.0.1:{port}", database_url, process, log)
    for _ in range(300):
        try:
            if requests.get(f"{server.url}/livez", timeout=5).ok:
                return server
        except requests.ConnectionError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text()}")


@dataclass
class Client:
    """A caller with one key."""

    url: str
    key: str
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """A request with the key, and a JSON body where there is one."""
        headers = {"Authorization": f"Bearer {self.key}"} | options.pop("headers", {})
        return self.session.request(method, self.url + path, json=body, headers=headers, timeout=30, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        """POST."""
        return self.call("POST", path, body, **options)


@dataclass
class Tenant:
    """A storefront with a client for each kind of key."""

    name: str
    engine: Engine
    public: Client
    secret: Client
    admin: Client


def add_tenant(server: Server, name: str) -> Tenant:
    """A storefront with its catalogue and keys, known to the server."""
    engine = connect(server.database_url)
    open_shop(engine, name)
    clients: dict[KeyKind, Client] = {}
    kinds: tuple[KeyKind, ...] = ("public", "secret", "admin")
    for kind in kinds:
        with writing(engine) as conn:
            shop = get_storefront(conn, name)
            clients[kind] = Client(server.url, create_key(conn, shop.id, kind, new_token(), NOW, "test"))
    fresh = {"Connection": "close"}  # one that is kept asks the same worker again and again
    for _ in range(100):  # another process's change is seen within two seconds
        if all(clients["admin"].get("/api/v1/metrics", headers=fresh).ok for _ in range(8)):
            break
        time.sleep(0.1)
    return Tenant(name, engine, clients["public"], clients["secret"], clients["admin"])


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """An application in threads of this process, on a port of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
