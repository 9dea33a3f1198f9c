"""Runs parametrized cases side by side, those of all modules: most of a fault test is waiting."""

import contextlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from faultkit.runtime import Runtime

WORKERS = 8


class Case:
    """One case of a test with a parameter ``case``, or one of ``cases``; the name stands in the test's id.

    Cases of one lane run one after the other on one bed.
    """

    def __init__(self, name, lane=None):
        self.name = name
        self.lane = name if lane is None else lane

    def __str__(self):
        return self.name

    def bed(self, kit):
        """A context manager that gives what the lane's cases run on; after a failed case it is made anew."""
        raise NotImplementedError

    def run(self, bed):
        """Do it; what this returns or raises is the test's to see."""
        raise NotImplementedError


class Kit:
    """What beds are made of."""

    def __init__(self, aws, network, folder, input_png, seed):
        self.aws = aws
        self.network = network
        self.folder = folder
        self.input_png = input_png
        self.seed = seed

    @contextlib.contextmanager
    def runtime(self, runtime_type, **options):
        runtime = Runtime(self.aws, self.network, self.folder, runtime_type, **options)
        with contextlib.closing(runtime):
            yield runtime


class Lanes:
    """All cases of the selected tests, begun at once, as many lanes at a time as there are workers."""

    def __init__(self, items, kit):
        self._kit = kit
        self._over = threading.Event()
        self._endings = {}
        lanes = {}
        for item in items:
            for case in _cases(item):
                if case not in self._endings:
                    self._endings[case] = Future()
                    lanes.setdefault((type(case), case.lane), []).append(case)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="lane")
        for cases in lanes.values():
            self._workers.submit(self._go, cases)

    def __getitem__(self, case):
        """What a case's run returned; raises what it raised."""
        return self._endings[case].result()

    def _go(self, cases):
        with contextlib.ExitStack() as stack:
            bed = None
            for case in cases:
                if self._over.is_set():
                    return
                try:
                    if bed is None:
                        bed = stack.enter_context(case.bed(self._kit))
                    self._endings[case].set_result(case.run(bed))
                except BaseException as exc:  # noqa: BLE001 (it is the waiting test's to see)
                    self._endings[case].set_exception(exc)
                    stack.close()
                    bed = None

    def close(self):
        self._over.set()
        self._workers.shutdown(cancel_futures=True)


def _cases(item):
    if item.get_closest_marker("skip") or any(mark.args[0] for mark in item.iter_markers("skipif")):
        return ()
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return [one for one in (parameters.get("case"), *parameters.get("cases", ())) if isinstance(one, Case)]
