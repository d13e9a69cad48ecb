"""`offerlab`: the one command. Each sub-command is a file here, imported when it is called."""

import importlib
import logging
import sys
from collections.abc import Sequence

import click

from experiments.errors import Invalid, Malformed, NotFound, OfferlabError

COMMANDS = {
    "analyze": "Analyse a test that was run elsewhere, straight from its file.",
    "demo": "Fill an empty database with a demo storefront and serve it.",
    "erase": "Delete one person's data everywhere, or what is past its time.",
    "experiment": "List, start, steer and end experiments.",
    "export": "Events as Parquet for a lake, or one person's data.",
    "import": "Import products, exposures, conversions or currency rates from a file.",
    "key": "Make storefront keys.",
    "plan": "Sample size, duration and detectable effect.",
    "quarantine": "Events that were refused: list, try again, let go.",
    "reconcile": "Orders in = analysed + excluded by reason, to the cent.",
    "recommend": "What past orders suggest: products bought together, bestsellers.",
    "report": "An experiment's report.",
    "serve": "The production server.",
    "simulate": "A/A and A/B tests on a made-up shop, and what the tests said.",
    "storefront": "Add storefronts.",
    "upgrade": "Bring the database's schema to the newest migration.",
    "user": "Add people.",
    "watch": "Watch what runs, and send alerts.",
    "webhook": "Webhooks of Shopify and WooCommerce: secrets and inbox.",
}


class Commands(click.Group):
    """The sub-commands by name; listing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name: `import` lives in `importing.py`, as Python keeps the word for itself."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"webapp.cli.{'importing' if cmd_name == 'import' else cmd_name}")
        command: click.Command = getattr(module, "command", None) or getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list in `offerlab --help`, without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="offerlab", prog_name="offerlab")
def offerlab() -> None:
    """A/B experiments on the offers a shop makes."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake ends in one line and exit code 2, a refused operation in 1."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        code = offerlab.main(args=arguments, prog_name="offerlab", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        print(f"offerlab: {' '.join(error.format_message().split())}", file=sys.stderr)
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except (Invalid, Malformed, NotFound) as error:
        print(f"offerlab: {error.message}", file=sys.stderr)
        sys.exit(2)
    except OfferlabError as error:
        print(f"offerlab: {error.message}", file=sys.stderr)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
