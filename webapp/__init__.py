"""The web service, its pages and the command line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webapp.config import Settings


def create_app(settings: "Settings | None" = None) -> "Flask":
    """The application on an installation's database; OldSchema where that is not up to date.

    Every command passes through this package: what only the server needs is imported when it is made.
    """
    from webapp.application import create

    return create(settings)
