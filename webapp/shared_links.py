"""Addresses by which anybody reads a report: a link's number, signed, so that none can be guessed or made up."""

from flask import url_for
from itsdangerous import BadData, URLSafeSerializer

from experiments.errors import NotFound
from experiments.sharing import ReportLink
from webapp.lab import Lab, the_lab


def address(link: ReportLink) -> str:
    """Where the link leads; the same each time it is asked."""
    return url_for("shared.show", token=_serializer(the_lab()).dumps(link.id), _external=True)


def number_in(token: str) -> int:
    """The link's number; NotFound where the token is not ours."""
    try:
        number = _serializer(the_lab()).loads(token)
    except BadData:
        raise NotFound("There is no such link") from None
    if not isinstance(number, int):
        raise NotFound("There is no such link")
    return number


def _serializer(lab: Lab) -> URLSafeSerializer:
    settings = lab.settings
    keys = [*reversed(settings.old_secret_keys), settings.secret_key]  # the newest signs; the others still open
    return URLSafeSerializer(keys, salt="shared report")
