"""What a serving process holds: its settings, the database, the current snapshot."""

import secrets
from typing import cast

from flask import current_app
from sqlalchemy import Engine

from experiments.service.snapshot import Snapshots
from experiments.storage.database import connect
from experiments.storage.eventwriter import EventWriter
from webapp.config import Settings


class Lab:
    """One process's share of an installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine: Engine = connect(settings.database_url)
        self.snapshots = Snapshots(self.engine)
        self.writer = EventWriter(self.engine)

    def close(self) -> None:
        """Give the database its connections back."""
        self.engine.dispose()


def the_lab() -> Lab:
    """The lab of the running application."""
    return cast("Lab", current_app.extensions["offerlab"])


def new_id() -> str:
    """A random id: 128 bits as hex."""
    return secrets.token_hex(16)


def new_token() -> str:
    """A random secret: 192 bits, safe in a URL."""
    return secrets.token_urlsafe(24)
