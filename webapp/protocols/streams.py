"""Server-sent events that say "something changed": held connections, one watcher for all of them.

A held stream is a blocked thread of the server (some 0.1 MB), so a worker holds a bounded number of them, in threads
that `offerlab serve` adds for this and that requests never wait for. Whoever comes beyond that number is answered at
once and told to ask again after RETRY: an EventSource does so by itself and says what it has seen, so that it too
learns of a change within two seconds.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import cast

from flask import Blueprint, Flask, Response, current_app, request
from itsdangerous import BadSignature, URLSafeSerializer

from experiments.errors import OfferlabError, Unavailable
from experiments.identifiers import StorefrontId
from experiments.moment import SECOND, Micros
from experiments.service.snapshot import StorefrontView
from webapp.auth import Headers
from webapp.clock import now
from webapp.errors import Unauthorized, encode
from webapp.lab import Lab
from webapp.protocols import cors
from webapp.protocols.features import Features, FeaturesByStorefront

PATH = "/ofrep/v1/stream"
HEARTBEAT = 5.0
"""Seconds after which a silent stream says that it lives; of a client that has gone, the place is free then."""
LOOK_EVERY = 0.25
"""Seconds between two looks at the snapshot, while there are streams."""
RETRY = 1500
"""Milliseconds after which one who could not be held asks again."""
RESERVED = 32
"""Streams held beyond the number, for the few clients that are no browsers: shops' servers."""
INACTIVE_AFTER = 120
"""Seconds after which a hidden page lets go of its stream."""
TOKEN_FOR = 3600 * SECOND
"""How long a token is given out; it opens for as long again. The address stays the same meanwhile, as providers open
a new stream for a new one."""

HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class Version:
    """What a storefront's answers depend on, at one time."""

    features: Features
    products_at: Micros
    since: Micros
    """When this process saw it first."""

    @property
    def etag(self) -> str:
        """Another one for every change that could change an answer."""
        return f"{self.features.digest}-{self.products_at:x}"


Message = Callable[[Version], tuple[str, str, str]]
"""A version as a stream tells it: the event's name, its data, and the id by which a client says what it has seen."""


blueprint = Blueprint("streams", __name__)


class Streams:
    """The streams of one process."""

    def __init__(self, lab: Lab, capacity: int) -> None:
        self._lab = lab
        self._capacity = capacity
        self._tokens = URLSafeSerializer(lab.settings.secret_key, salt="stream")
        self._features = FeaturesByStorefront()
        self._changed = threading.Condition()
        self._open = 0
        self._closing = False
        self._watcher: threading.Thread | None = None
        self._versions: dict[StorefrontId, Version] = {}

    @property
    def held(self) -> int:
        """Streams that are open."""
        return self._open

    def features(self, view: StorefrontView, at: Micros) -> Features:
        """The storefront's features as they are now."""
        return self._features.current(view, at)

    def address(self, storefront_id: StorefrontId, at: Micros) -> str:
        """Path and query of the storefront's stream, for someone who cannot send a key as a header."""
        return f"{PATH}?token={self._tokens.dumps([storefront_id, at // TOKEN_FOR])}"

    def opened_by(self, token: str, at: Micros) -> StorefrontView:
        """Whose stream a token opens; Unauthorized where it is not ours or too old."""
        try:
            storefront_id, given = self._tokens.loads(token)
        except (BadSignature, ValueError, TypeError):
            raise Unauthorized("This stream's token is not ours") from None
        view = self._lab.snapshots.current(at).storefronts.get(storefront_id)
        if view is None or not 0 <= at // TOKEN_FOR - given <= 1:
            raise Unauthorized("This stream's token is too old: evaluate again for a new one")
        return view

    def follow(self, view: StorefrontView, headers: Headers, message: Message, *, greet: bool) -> Response:
        """The stream of a storefront's changes; `greet` tells the present version to one who has seen none.

        An EventSource `returns` by itself after `retry`; server SDKs come back at once, so they are always held.
        """
        seen, returns = headers.get("Last-Event-ID"), headers.get("Accept") == "text/event-stream"
        version = self._look(view)
        event, data, number = message(version)
        first = f"retry: {RETRY}\nid: {number}\n\n"
        if (greet and seen is None) or seen not in {None, number}:
            first += written(event, data, number)
        with self._changed:
            held = self._open < (self._capacity if returns else self._capacity + RESERVED) and not self._closing
            self._open += held
        if not held and not returns:
            raise Unavailable("No more streams can be held here", retry_after=5)
        if not held:
            return Response(first, 200, HEADERS)
        events = self._events(view.storefront.id, version, message)
        next(events)  # from here on its `finally` gives the place back, whatever becomes of the connection
        return Response(chain([first.encode()], events), 200, HEADERS)

    def _events(self, storefront_id: StorefrontId, version: Version, message: Message) -> Iterator[bytes]:
        number = message(version)[2]
        try:
            yield b""
            while (fresh := self._wait(storefront_id, version)) is not None:
                event, data, fresh_number = message(fresh)
                yield b": \n\n" if fresh_number == number else written(event, data, fresh_number).encode()
                version, number = fresh, fresh_number
        finally:
            with self._changed:
                self._open -= 1

    def close(self) -> None:
        """End every stream and the watcher; the clients come back to another process."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._watcher is not None:
            self._watcher.join()

    def _wait(self, storefront_id: StorefrontId, known: Version) -> Version | None:
        """The next version, the same one after HEARTBEAT, or None where the process closes."""
        with self._changed:
            if self._watcher is None and not self._closing:
                self._watcher = threading.Thread(target=self._watch, name="streams", daemon=True)
                self._watcher.start()
            self._changed.wait_for(lambda: self._closing or self._moved(storefront_id, known), HEARTBEAT)
            return None if self._closing else self._versions.get(storefront_id, known)

    def _moved(self, storefront_id: StorefrontId, known: Version) -> bool:
        return self._versions.get(storefront_id, known) is not known

    def _look(self, view: StorefrontView) -> Version:
        """The storefront's version; the one known before where nothing has changed."""
        at = now()
        version = Version(self.features(view, at), view.storefront.products_at, at)
        with self._changed:
            known = self._versions.get(view.storefront.id)
            if known is not None and known.etag == version.etag:
                return known
            self._versions[view.storefront.id] = version
            self._changed.notify_all()
        return version

    def _watch(self) -> None:
        while not self._closing:
            if self._open:
                try:
                    storefronts = self._lab.snapshots.current(now()).storefronts
                    for storefront_id in list(self._versions):
                        if storefront_id in storefronts:
                            self._look(storefronts[storefront_id])
                except OfferlabError:  # said where it happened; the streams wait for better times
                    pass
            time.sleep(LOOK_EVERY)


def written(event: str, data: str, number: str) -> str:
    """One event as the stream's format has it."""
    return f"id: {number}\nevent: {event}\ndata: {data}\n\n"


def install(app: Flask) -> None:
    """Give the application its streams."""
    lab: Lab = app.extensions["offerlab"]
    app.extensions["offerlab.streams"] = Streams(lab, lab.settings.streams)


def the_streams() -> Streams:
    """The streams of the running application."""
    return cast("Streams", current_app.extensions["offerlab.streams"])


@blueprint.get(PATH)
def stream() -> Response:
    """OpenFeature's: tells a provider when to evaluate again. An EventSource sends no key, so a token opens it."""
    streams, at = the_streams(), now()
    view = streams.opened_by(request.args.get("token", ""), at)
    answer = streams.follow(view, request.headers, _refetch, greet=False)
    answer.headers.update(cors.ANYONE)
    return answer


def _refetch(version: Version) -> tuple[str, str, str]:
    told = {"type": "refetchEvaluation", "etag": version.etag, "lastModified": version.since // SECOND}
    return "message", encode(told).decode(), version.etag
