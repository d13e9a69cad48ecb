"""`offerlab reconcile`."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import click
import msgspec

from experiments.errors import Invalid
from experiments.moment import date_number
from experiments.money import to_decimal
from experiments.storage.database import reading
from experiments.storage.storefronts import get_storefront
from webapp.cli import options
from webapp.clock import now

if TYPE_CHECKING:
    from experiments.service.reconciling import Reconciliation, Tally


@click.command("reconcile")
@options.storefront
@click.option("--from", "first", required=True, metavar="DATE", help="The first day, in the storefront's calendar.")
@click.option("--to", "last", required=True, metavar="DATE", help="The last day, included.")
@click.option("--format", "shape", type=click.Choice(("table", "json")), default="table", show_default=True)
@options.database
def command(storefront: str, first: str, last: str, shape: str, database: str | None) -> int:
    """Print for each experiment: orders in = analysed + excluded by reason, to the cent."""
    from experiments.service.reconciling import reconcile
    from experiments.service.snapshot import Snapshot
    from webapp.protocols.claims import all_claims  # brings Flask along

    days = _day(first, "from"), _day(last, "to")
    with options.opened(database) as engine, reading(engine) as conn:
        shop = get_storefront(conn, storefront)
        view = Snapshot.load(conn).storefronts[shop.id]
        found = reconcile(conn, shop, *days, now(), lambda conn: all_claims(conn, view))
    shown = as_json(found, shop.key, shop.currency, first, last)
    if shape == "json":
        click.echo(msgspec.json.encode(shown).decode())
    else:
        for line in _lines(shown):
            click.echo(line)
    return 0 if all(account["balanced"] for account in shown["experiments"]) else 1


def _day(text: str, name: str) -> int:
    try:
        return date_number(date.fromisoformat(text))
    except ValueError:
        raise Invalid.at(name, f"{text!r} is no date such as 2026-11-21") from None


def as_json(found: "Reconciliation", storefront: str, currency: str, first: str, last: str) -> dict[str, Any]:
    """The books, money as decimal strings."""

    def tally(given: "Tally") -> dict[str, Any]:
        return {"orders": given.orders, "revenue": to_decimal(given.amount, currency), "unpriced": given.unpriced}

    accounts = [
        {
            "experiment": account.experiment,
            "analysed": tally(account.analysed),
            "excluded": [{"reason": reason, **tally(given)} for reason, given in account.excluded.items()],
            "balanced": sum(account.excluded.values(), account.analysed) == found.received,
        }
        for account in found.accounts
    ]
    return {
        "storefront": storefront, "currency": currency, "from": first, "to": last, "received": tally(found.received),
        "refused": [{"code": code, **tally(given)} for code, given in found.refused.items()], "experiments": accounts,
    }  # fmt: skip


def _lines(shown: dict[str, Any]) -> Iterator[str]:
    def line(name: str, given: dict[str, Any]) -> str:
        unpriced = f"  ({given['unpriced']} of unknown amount)" if given["unpriced"] else ""
        return f"{name:<36}{given['orders']:>10}{given['revenue']:>18} {shown['currency']}{unpriced}"

    yield line(f"orders in, {shown['from']} to {shown['to']}", shown["received"])
    for account in shown["experiments"]:
        yield account["experiment"]
        yield line("  analysed", account["analysed"])
        for excluded in account["excluded"]:
            yield line(f"  {excluded['reason']}", excluded)
        yield "  = orders in" if account["balanced"] else "  DOES NOT ADD UP to the orders in"
