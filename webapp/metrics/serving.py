"""The count of what Flask answers; the thin door counts for itself."""

import re
from time import perf_counter_ns

from flask import Flask, Response, g, request

from webapp.lab import Lab
from webapp.metrics.counts import UNKNOWN

_ARGUMENT = re.compile(r"<(?:[^<>]*:)?(\w+)>")


def install(app: Flask) -> None:
    """Count every request of the application by its rule, so that nobody's id is ever part of a name."""
    lab: Lab = app.extensions["offerlab"]
    routes = {rule.rule: route_of(rule.rule) for rule in app.url_map.iter_rules()}

    def begin() -> None:
        g.started = perf_counter_ns()

    def end(response: Response) -> Response:
        rule = request.url_rule
        route = UNKNOWN if rule is None else routes.get(rule.rule) or route_of(rule.rule)
        lab.counts.answered(route, request.method, response.status_code, g.get("started") or perf_counter_ns())
        return response

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(end)


def route_of(rule: str) -> str:
    """A rule as the description of the API writes it: `/v1/offers/{offer_id}/check`."""
    return _ARGUMENT.sub(r"{\1}", rule)
