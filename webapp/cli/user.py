"""`offerlab user`."""

import click

from experiments.service.people import add_person, find_person, issue_link
from experiments.storage.database import writing
from experiments.storage.users import Purpose, Role
from webapp.cli import options
from webapp.clock import now
from webapp.lab import new_token

_url = click.option(
    "--url", default="http://127.0.0.1:8000", show_default=True, help="Where people reach this installation."
)


@click.group("user")
def command() -> None:
    """Add people, and give them links to sign in with."""


@command.command("add")
@click.argument("email")
@click.option("--role", required=True, type=click.Choice(["viewer", "editor", "admin"]))
@_url
@options.database
def add(email: str, role: Role, url: str, database: str | None) -> None:
    """Add a person; prints a link, good once and for three days, to set the password."""
    token = new_token()
    with options.opened(database) as engine, writing(engine) as conn:
        add_person(conn, email, role, token, now())
    click.echo(link_address(url, token))


@command.command("link")
@click.argument("email")
@click.option("--purpose", type=click.Choice(["set_password", "sign_in"]), default="set_password", show_default=True)
@_url
@options.database
def link(email: str, purpose: Purpose, url: str, database: str | None) -> None:
    """Print a new one-time link for somebody who is there already."""
    token = new_token()
    with options.opened(database) as engine, writing(engine) as conn:
        issue_link(conn, find_person(conn, email), purpose, token, now())
    click.echo(link_address(url, token))


def link_address(url: str, token: str) -> str:
    """Where the link with this token is opened."""
    return f"{url.rstrip('/')}/link/{token}"
