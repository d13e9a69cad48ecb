"""Routes whose shapes are other people's: what they are for, and where their senders write them down."""

from collections.abc import Mapping

from webapp.openapi import examples
from webapp.openapi.answers import DeliveryAnswer, ReceiptAnswer, Success
from webapp.openapi.managed import OpenedPreview
from webapp.openapi.operation import ANY_KEY, Operation, Query
from webapp.openapi.shapes import FREE
from webapp.protocols.segment import KINDS

SEGMENT_MEDIA = ("application/json", "text/plain")
_SHORT = "Segment's and RudderStack's clients: {}; 200 on whatever is well-formed."

SEGMENT: Mapping[str, Operation] = {
    f"segment.{part}": Operation(
        tag="Segment", keys=ANY_KEY, body=FREE, body_media=SEGMENT_MEDIA, answer=Success, told={"success": True},
        only_refuses=(400, 401, 403, 413, 422, 503), name=f"segment_{part}",
        example=examples.TRACKED if kind is None else examples.SEGMENT[kind],
        summary=_SHORT.format("a batch of messages" if kind is None else f"one `{kind}` message"),
    )
    for part, kind in (KINDS | {"beacon": None}).items()
}  # fmt: skip

FOREIGN: Mapping[str, Operation] = {
    **SEGMENT,
    "segment.settings": Operation(
        tag="Segment", keys=(), answer=FREE, only_refuses=(401, 403, 503), name="segment_settings",
        summary="Where Segment's browser client sends to; `key` is the public key.",
    ),
    "growthbook.track": Operation(
        tag="GrowthBook", keys=(), body=FREE, body_media=("application/json", "text/plain"), answer=ReceiptAnswer,
        query=(Query("client_key", str, "The public key.", required=True),), problem="GrowthBookProblem",
        only_refuses=(400, 401, 403, 413, 503), example=examples.PLUGGED, name="growthbook_track",
        summary="What GrowthBook's tracking plugin saw.",
    ),
    "webhooks.deliver": Operation(
        tag="Webhooks", keys=(), body=FREE, answer=DeliveryAnswer, only_refuses=(401, 404, 413, 503),
        name="deliver_{source}",
        summary="A signed delivery of {source}: orders and refunds, durable before they are read.",
    ),
    "traffic.open_preview": Operation(
        tag="Scripts", keys=(), answer=OpenedPreview, only_refuses=(404, 422, 503),
        query=(Query("to", str, "A page of the shop to go on to, which gets the token."),),
        other={302: "On to the page."},
    ),
    "snippet.newest": Operation(
        tag="Scripts", keys=(), media="text/javascript", answer=str, only_refuses=(), name="read_snippet",
        other={304: "What you hold (`If-None-Match`) is still the answer."},
    ),
    "snippet.pinned": Operation(
        tag="Scripts", keys=(), media="text/javascript", answer=str, only_refuses=(404,), name="read_pinned_snippet",
        other={304: "What you hold (`If-None-Match`) is still the answer."},
    ),
}  # fmt: skip
