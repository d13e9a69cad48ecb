"""Every notebook runs from its first cell to its last, on the data that the repository ships."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted(Path("notebooks").glob("*.ipynb"))


def run(path: Path) -> list[Any]:
    """What each code cell's last expression comes to, as a notebook would show it."""
    names: dict[str, Any] = {}
    shown = []
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(path), "exec"), names)
        shown.append(eval(compile(last, str(path), "eval"), names) if last else None)
    return shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_something(path: Path) -> None:
    shown = [value for value in run(path) if value is not None]
    assert shown
    assert all(str(value) for value in shown)
