"""Every intake's way back in: how what it refused is tried again, by the name that quarantine knows it by."""

from collections.abc import Mapping

from sqlalchemy import Engine

from experiments.errors import Invalid, Malformed
from experiments.service.recording import Receipt, Rejection
from experiments.service.replaying import DOORS, Door
from experiments.service.snapshot import StorefrontView
from experiments.shape import decode
from experiments.storage.eventwriter import EventWriter
from experiments.storage.quarantine import Held
from webapp.protocols import messages, segment, tracked
from webapp.protocols.batches import Store, record_messages


def all_doors(engine: Engine) -> Mapping[str, Door]:
    """The doors of every intake that quarantines."""

    def segments(writer: EventWriter, view: StorefrontView, event: Held) -> Receipt:
        try:
            kept = decode(event.body, messages.Kept)
        except (Invalid, Malformed) as refusal:
            return _unread(refusal)
        said = segment.dialect(view, kept.kind, kept.sent_at, event.received_at)
        store = Store(engine, writer, quarantines=False)
        return record_messages(store, view, [kept.message], said, event.received_at)

    def growthbooks(writer: EventWriter, view: StorefrontView, event: Held) -> Receipt:
        try:
            return tracked.record_tracked(Store(engine, writer, quarantines=False), view, event.body, event.received_at)
        except Malformed as refusal:
            return _unread(refusal)

    return {**DOORS, messages.SOURCE: segments, tracked.SOURCE: growthbooks}


def _unread(refusal: Invalid | Malformed) -> Receipt:
    return Receipt(rejected=(Rejection(0, refusal.code, refusal.message),))
