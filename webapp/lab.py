"""What a serving process holds: its settings, the database, the current snapshot."""

import hashlib
import secrets
from functools import cached_property
from pathlib import Path
from typing import cast

from flask import current_app
from sqlalchemy import Engine

from experiments.sealing import Seal
from experiments.service.eligibility import Refusals
from experiments.service.refreshing import LiveSnapshots
from experiments.service.rows import KeptRows
from experiments.storage.database import connect
from experiments.storage.eventwriter import EventWriter
from webapp.clock import now
from webapp.config import Settings
from webapp.metrics.counts import Counts


class Lab:
    """One process's share of an installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine: Engine = connect(settings.database_url)
        self.snapshots = LiveSnapshots(self.engine, now, kept_rows(settings, self.engine))
        self.counts = Counts(Path(settings.metrics_directory) if settings.metrics_directory else None)
        self.writer = EventWriter(self.engine, self.counts)
        self.refusals = Refusals(self.engine)

    @cached_property
    def seal(self) -> Seal:
        """What closes secrets that lie in the database."""
        return the_seal(self.settings)

    def close(self) -> None:
        """Give the database its connections back."""
        self.snapshots.close()
        self.refusals.flush()
        self.engine.dispose()


def the_seal(settings: Settings) -> Seal:
    """The installation's seal: by its secret key, opening what its old ones closed."""
    return Seal([settings.secret_key, *settings.old_secret_keys])


def kept_rows(settings: Settings, engine: Engine) -> KeptRows:
    """Where the last good snapshot is kept: OFFERLAB_SNAPSHOT_DIR, else beside a SQLite database, else instance/.

    The name is the database's, so that two installations on one disk never read each other's.
    """
    url = engine.url
    if url.get_backend_name() == "sqlite" and url.database and not settings.snapshot_directory:
        return KeptRows(Path(f"{url.database}.snapshot.json"))
    name = hashlib.sha256(url.render_as_string(hide_password=True).encode()).hexdigest()[:16]
    return KeptRows(Path(settings.snapshot_directory or "instance") / f"snapshot-{name}.json")


def the_lab() -> Lab:
    """The lab of the running application."""
    return cast("Lab", current_app.extensions["offerlab"])


def new_id() -> str:
    """A random id: 128 bits as hex."""
    return secrets.token_hex(16)


def new_token() -> str:
    """A random secret: 192 bits, safe in a URL."""
    return secrets.token_urlsafe(24)
