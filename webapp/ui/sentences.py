"""The plan as a sentence: what is expected, for whom, where and why."""

from flask_babel import gettext

from webapp.ui.definition_form import DefinitionForm
from webapp.ui.targeting_rows import OPERATORS
from webapp.ui.variant_form import VariantForm
from webapp.ui.words import OFFER_TYPES, metric_name

UNKNOWN = "…"


def hypothesis(form: DefinitionForm, placement: str) -> str:
    """The hypothesis in one sentence, from what the form says so far and two answers."""
    offers = [_offer(variant) for variant in form.variants if variant.offer.type in OFFER_TYPES.keys() - {"none"}]
    said = {
        "because": form.because.strip().rstrip(".") or UNKNOWN,
        "offers": _listed(list(dict.fromkeys(offers))) or UNKNOWN,
        "visitors": _audience(form),
        "placement": placement or UNKNOWN,
        "metric": str(metric_name(form.primary)).lower(),
        "lift": form.target_mde.strip() or UNKNOWN,
        "reason": form.reason.strip().rstrip(".") or UNKNOWN,
    }
    return str(
        gettext(
            "Because %(because)s, showing %(offers)s to %(visitors)s at %(placement)s will change %(metric)s by at "
            "least %(lift)s, as %(reason)s.",
            **said,
        )
    )


def _offer(variant: VariantForm) -> str:
    words, name = str(OFFER_TYPES[variant.offer.type][0]).lower(), variant.name.strip()
    return f"“{name}” ({words})" if name and name.lower() != words else words


def _audience(form: DefinitionForm) -> str:
    if form.targeting_json.strip():
        return str(gettext("visitors who match the condition"))
    rows = [
        f"{row.attribute} {OPERATORS.get(row.operator, '')} {row.value}".strip()
        for row in form.targeting
        if not row.blank
    ]
    if not rows:
        return str(gettext("everyone"))
    return str(gettext("visitors whose %(conditions)s", conditions=_listed(rows)))


def _listed(parts: list[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return str(gettext("%(others)s and %(last)s", others=", ".join(parts[:-1]), last=parts[-1]))
