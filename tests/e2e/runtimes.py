"""The runtimes that are not Python's: Node with the clients from npm, headless Chromium; what is missing is said."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import CHROMIUM

HERE = Path(__file__).parent
NODE = shutil.which("node")
TYPES = {".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".cjs": "text/javascript"}


def need_node() -> str:
    """Node's path; skips where it or the clients are missing."""
    if NODE is None:
        pytest.skip("node is not installed")
    if not (HERE / "node_modules").is_dir():
        pytest.skip("the JavaScript clients are not installed: npm ci in tests/e2e")
    return NODE


def run_node(script: Path, *arguments: str, **environ: str) -> str:
    """What a Node program prints."""
    command = [need_node(), str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environ, cwd=HERE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Pages:
    """A shop's pages on an origin of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, str] = {}
        self.signals: dict[str, Callable[[], None]] = {}

    def open(self, path: str, html: str) -> Any:
        """The page's `window.result`, from headless Chromium."""
        if CHROMIUM is None:
            pytest.skip("chromium is not installed")
        self.pages[path] = html
        said = json.loads(run_node(HERE / "drive.mjs", CHROMIUM, self.url + path, PATH="/usr/bin:/bin", HOME="/tmp"))
        assert not said["errors"], said["errors"]
        return said["result"]


@contextmanager
def serving_pages() -> Iterator[Pages]:
    """Pages, the packages from npm under /node_modules/, and signals by which a page tells that it is ready."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in pages.signals:
                pages.signals[path]()
                return self._answer(b"ok", "text/plain")
            if path in pages.pages:
                return self._answer(pages.pages[path].encode(), "text/html; charset=utf-8")
            file = (HERE / path.lstrip("/")).resolve()
            if path.startswith("/node_modules/") and file.is_file():
                return self._answer(file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream"))
            return self.send_error(404)

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    pages = Pages(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield pages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
