"""A visit: what the request of a visitor, or of the shop's server for one, brings beside its body's own fields.

Both doors of `/v1` and OFREP ask through here, so that bots, consent and preview links mean the same everywhere.
"""

from itsdangerous import BadSignature, URLSafeSerializer

from experiments.assignment import Assignment, Inside, Trace
from experiments.errors import NotFound
from experiments.moment import Micros
from experiments.service.capping import viewed
from experiments.service.serving import AssignmentRequest, Preview, decide
from experiments.signals import SILENT, Signals
from webapp.auth import Access, Headers
from webapp.lab import Lab
from webapp.metrics.counts import UNKNOWN

PREVIEW = "offerlab_preview"
"""The attribute in which clients send a preview link's token, where they have no field for it."""


def decided(
    lab: Lab,
    caller: Access,
    headers: Headers,
    request: AssignmentRequest,
    at: Micros,
    inside: Inside,
    trace: Trace | None = None,
    tried: Trace | None = None,
) -> Assignment:
    """Which variant this visit gets, and what it shows; nothing is written."""
    token = request.preview or request.attributes.get(PREVIEW)
    preview = opened(lab, caller.view.storefront.key, token, at) if token and isinstance(token, str) else None
    view, placement = caller.view, request.placement
    seen = viewed(lab.engine, view, request.visitor_id, at) if view.caps else None
    made = decide(view, request, at, inside, signals_of(caller, headers), preview, trace, seen, tried)
    lab.counts.assigned(view.storefront.key, placement if placement in view.placements else UNKNOWN, made.reason)
    return made


def signals_of(caller: Access, headers: Headers) -> Signals:
    """What the visitor's browser said; nothing where the caller is the shop's server, whose headers are its own."""
    if caller.kind != "public":
        return SILENT
    return Signals(headers.get("User-Agent"), headers.get("Sec-GPC") == "1")


def sealed(lab: Lab, storefront: str, preview: Preview, until: Micros) -> str:
    """A preview as a token that nobody else can make, good until then."""
    return _serializer(lab).dumps([storefront, preview.experiment, preview.variant, until])


def opened(lab: Lab, storefront: str, token: str, at: Micros) -> Preview | None:
    """What a token lets see at this storefront; None where it is not ours or has expired, as visitors see no errors."""
    held = contents(lab, token, at)
    return held[1] if held is not None and held[0] == storefront else None


def contents(lab: Lab, token: str, at: Micros) -> tuple[str, Preview, Micros] | None:
    """The storefront, the preview and its end; None where the token is not ours or has expired."""
    try:
        storefront, experiment, variant, until = _serializer(lab).loads(token)
    except (BadSignature, ValueError, TypeError):
        return None
    return (storefront, Preview(experiment, variant), until) if at < until else None


def check_previewable(caller: Access, preview: Preview) -> None:
    """NotFound where the storefront has no such variant."""
    experiment = caller.view.experiments.get(preview.experiment)
    if experiment is None:
        raise NotFound(f"There is no experiment {preview.experiment!r}")
    if experiment.definition.variant(preview.variant) is None:
        raise NotFound(f"{preview.experiment!r} has no variant {preview.variant!r}")


def _serializer(lab: Lab) -> URLSafeSerializer:
    return URLSafeSerializer(lab.settings.secret_key, salt="preview")
