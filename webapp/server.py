"""The server's threads: hot routes are answered straight to the server, streams leave its threads for ones of ours.

granian gives each request to a thread of its pool and makes a new one whenever a request waits, up to the pool's size;
under load all of them take turns, and each costs the others. So the pool is kept small: a stream, which holds its
thread for hours, gets one that requests never see, and an answer that waits for a commit holds none: the thread that
commits sends it. And an answer that goes to granian's protocol object as it is spares the copy of the whole
environment, `start_response`, and the hand-over of a body in parts.

granian has no public way to say so: `take_over` puts `hand_over` in the place of its own wrapper of WSGI applications.
Where a later granian has none in that place, all is served as WSGI, and the pool must hold the streams as well.
"""

from collections.abc import Callable
from threading import Thread
from typing import Any, Protocol, cast

from granian.server import mp

from webapp.front import Environ, Front
from webapp.protocols import growthbook, streams

WRAPPER = "_wsgi_call_wrap"
STREAMS = (streams.PATH, growthbook.STREAM)
"""How the paths of event streams begin."""


class Answers(Protocol):
    """What granian takes an answer by, from any thread, once."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None:
        """The whole answer."""


Run = Callable[[Answers, Environ], int]
"""What granian calls for each request; it gives the status back."""
Wrap = Callable[[Front, dict[str, Any], str | None], Run]

wrapped_by_granian = cast("Wrap | None", getattr(mp, WRAPPER, None))


def can_take_over() -> bool:
    """Whether this granian has its wrapper where `take_over` looks for it."""
    return wrapped_by_granian is not None


def take_over() -> None:
    """From here on, this worker's requests come through `hand_over`."""
    if wrapped_by_granian is not None:
        setattr(mp, WRAPPER, lambda *given: hand_over(wrapped_by_granian, *given))


def hand_over(wrap: Wrap, front: Front, scope: dict[str, Any], access_log: str | None) -> Run:
    """What granian calls in place of its own wrapper, which goes on doing all that is not hot."""
    plain = wrap(front, scope, access_log)

    def run(answers: Answers, environ: Environ) -> int:
        if environ["PATH_INFO"].startswith(STREAMS):
            Thread(target=plain, args=(answers, environ), name="stream", daemon=True).start()
            return 200
        hot = front.send(
            environ, lambda reply: answers.response_bytes(reply.status, [*reply.headers.items()], reply.body)
        )
        return 200 if hot else plain(answers, environ)

    return run
