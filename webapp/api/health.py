"""Whether the process lives, and whether it is ready."""

from flask import Blueprint, Response

from experiments.errors import OfferlabError, Unavailable
from experiments.storage.database import check_schema
from webapp.clock import now
from webapp.errors import encode
from webapp.lab import the_lab

blueprint = Blueprint("health", __name__)


@blueprint.get("/livez")
def livez() -> Response:
    """The process answers."""
    return Response(encode({"status": "ok"}), 200, {"Content-Type": "application/json"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """The database answers and its schema is right; a snapshot is loaded. It waits for no database that does not."""
    lab = the_lab()
    checks: dict[str, str] = {}
    try:
        checks["snapshot"] = f"revision {lab.snapshots.refresh(now()).revision}"
        snapshot = True
    except OfferlabError as error:
        checks["snapshot"], snapshot = error.message, False
    try:
        if lab.snapshots.database_away:
            raise Unavailable("The database does not answer")
        check_schema(lab.engine)
        checks["database"] = "ok"
    except OfferlabError as error:
        checks["database"] = error.message
    ready = checks["database"] == "ok" and snapshot
    body = {"status": "ok" if ready else "unavailable", "checks": checks}
    headers = {"Content-Type": "application/json"} | ({} if ready else {"Retry-After": "1"})
    return Response(encode(body), 200 if ready else 503, headers)
