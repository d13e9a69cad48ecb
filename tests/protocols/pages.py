"""The programs of the documentation, as they stand there."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PROGRAM = re.compile(r"<!-- program: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


def programs(page: str) -> dict[str, str]:
    """Each program of a page, by its file's name."""
    return dict(PROGRAM.findall((DOCS / page).read_text()))
