"""Adding and removing on the define page: each button is a step that the server takes, so that no script is needed."""

from webapp.ui.definition_form import DefinitionForm
from webapp.ui.targeting_rows import Row
from webapp.ui.variant_form import VariantForm

LISTS = ("items", "pairs", "products")
_MOST_VARIANTS = 20


def take(form: DefinitionForm, step: str) -> bool:
    """Take a step such as `add:items:1` or `remove:variant:2`; whether there was such a step to take."""
    verb, _, rest = step.partition(":")
    what, *numbers = rest.split(":")
    if verb not in {"add", "remove"} or not all(n.isdecimal() and len(n) < 4 for n in numbers):
        return False
    at = [int(number) for number in numbers]
    try:
        return _add(form, what, at) if verb == "add" else _remove(form, what, at)
    except (IndexError, ValueError):
        return False


def _add(form: DefinitionForm, what: str, at: list[int]) -> bool:
    if what == "variant" and len(form.variants) < _MOST_VARIANTS:
        form.variants.append(VariantForm(type="bundle", items=["", ""]))
    elif what == "condition":
        form.targeting.append(Row())
    elif what == "ramp":
        form.ramp.append(("", ""))
    elif what in LISTS:
        rows = getattr(form.variants[at[0]], what)
        rows.append("" if what == "items" else ("", ""))
    else:
        return False
    return True


def _remove(form: DefinitionForm, what: str, at: list[int]) -> bool:
    if what == "variant":
        del form.variants[at[0]]
    elif what == "condition":
        del form.targeting[at[0]]
    elif what == "ramp":
        del form.ramp[at[0]]
    elif what in LISTS:
        del getattr(form.variants[at[0]], what)[at[1]]
    else:
        return False
    return True


def show_blank_rows(form: DefinitionForm) -> None:
    """Give every list enough empty rows to start typing in."""
    for variant in form.variants:
        while len(variant.items) < 2:
            variant.items.append("")
        variant.pairs = variant.pairs or [("", "")]
        variant.products = variant.products or [("", "")]
    form.targeting = form.targeting or [Row()]
    form.ramp = form.ramp or [("", "")]
