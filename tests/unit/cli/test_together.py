"""Workers begin to listen together, but none waits for one that does not come."""

from concurrent.futures import ThreadPoolExecutor
from time import sleep

from webapp.cli.serve import Together


def test_who_is_ready_waits_for_the_others_and_who_comes_later_for_nobody() -> None:
    together = Together(3)
    with ThreadPoolExecutor(2) as workers:
        first = workers.submit(together.wait, 60)
        second = workers.submit(together.wait, 60)
        sleep(0.1)
        assert not first.done()
        assert not second.done()
        together.wait(60)
        first.result(30)
        second.result(30)
    together.wait(60)  # made anew after one has died


def test_nobody_waits_for_ever() -> None:
    Together(2).wait(0.01)


def test_a_worker_killed_while_it_said_that_it_is_ready_keeps_nobody_from_starting() -> None:
    together = Together(1)
    with ThreadPoolExecutor(1) as worker:
        worker.submit(together._ready.get_lock().acquire).result(30)
    together.wait(0.01)
