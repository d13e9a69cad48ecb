"""`GET /metrics`: what all processes of this server have done and hold, for Prometheus."""

from pathlib import Path

from flask import Blueprint, Response, request

from webapp.clock import now
from webapp.lab import the_lab
from webapp.metrics import cells, pulse
from webapp.protocols.streams import the_streams

blueprint = Blueprint("prometheus", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Counters and gauges of all workers, in Prometheus' text format or as OpenMetrics; it takes no key."""
    from prometheus_client.exposition import choose_encoder  # what serves visitors does not wait for these at its start

    from webapp.metrics.exposition import Exposition

    lab = the_lab()
    pulse.beat(lab, the_streams())
    directory = lab.settings.metrics_directory
    found = list(cells.readings(Path(directory))) if directory else [lab.counts.cells.read()]
    encoder, media = choose_encoder(request.headers.get("Accept", ""))
    body = encoder(Exposition(found, now()).registry())
    return Response(body, 200, {"Content-Type": media, "Cache-Control": "no-store"})
