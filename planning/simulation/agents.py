"""The queue and the agents: which job runs when, on which pod."""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace

from planning.simulation.load import Load
from planning.simulation.setup import Pods


class Agents:
    """The jobs of a load on pods that come and go; times are seconds of the simulation.

    Messages are taken in order of arrival, those that went back to the queue first. Waiting agents take turns, and
    those that have nothing to do come before those that take a message in advance.
    """

    def __init__(self, load: Load, pods: Pods) -> None:
        self.started: list[float] = [-1.0] * len(load)
        """When each job began that ended, or runs; -1 for one that has not begun."""
        self.ended: list[float] = [-1.0] * len(load)
        self.worked_s = 0.0
        """Of the jobs that have ended."""
        self.interrupted = 0
        self.done = 0
        self.arrived = 0
        self._times: Sequence[float] = list(load.times)
        self._seconds: Sequence[float] = [seconds + pods.overhead_s for seconds in load.seconds]
        self._devices, self._advance = pods.devices, max(0, pods.held - pods.devices)
        self._next = 0
        """The first job that no agent has ever taken."""
        self._returned: deque[int] = deque()
        self._runs: list[tuple[float, int, int]] = []
        """A heap of ends, jobs and pods."""
        self._last_runs: list[tuple[float, int]] = []
        """A heap of ends and jobs, of pods that have to go and take nothing else."""
        self._idle: deque[int] = deque()
        """Pods that wait for a message with nothing to do: once for each device."""
        self._eager: deque[int] = deque()
        """Likewise to take one in advance."""
        self._taken: dict[int, deque[int]] = {}
        """Jobs taken in advance, by pod."""
        self._lost_s = 0.0

    @property
    def visible(self) -> int:
        """Messages that no agent holds."""
        return self.arrived - self._next + len(self._returned)

    @property
    def in_flight(self) -> int:
        """Messages that agents hold."""
        return self.arrived - self.done - self.visible

    @property
    def next_arrival_s(self) -> float | None:
        """When the next job arrives; None after the last one."""
        return self._times[self.arrived] if self.arrived < len(self._times) else None

    @property
    def is_done(self) -> bool:
        """Whether all jobs have arrived and ended."""
        return self.done == len(self._times)

    def busy_s(self, now: float) -> float:
        """Seconds that devices have worked until now, on jobs too that were interrupted."""
        return self.worked_s + self._lost_s + sum(now - self.started[job] for job in self._under_way())

    def jobs_by_pod(self) -> Counter[int]:
        """How many jobs each pod works on, of those that need not go."""
        return Counter(pod for _, _, pod in self._runs)

    def run(self, until: float) -> None:  # noqa: PLR0912, PLR0915 - the inner loop of a million jobs
        """Let jobs arrive, begin and end, up to and including a time before which no pod comes or goes."""
        times, seconds, started, ended = self._times, self._seconds, self.started, self.ended
        runs, idle, eager, taken, returned = self._runs, self._idle, self._eager, self._taken, self._returned
        arrived, head, done, advance = self.arrived, self._next, self.done, self._advance
        worked_s = 0.0
        count = len(times)
        arrival = times[arrived] if arrived < count else float("inf")
        while True:
            end = runs[0][0] if runs else float("inf")
            if arrival < end:
                if arrival > until:
                    break
                if idle:
                    pod = idle.popleft()
                    started[head] = arrival
                    heappush(runs, (arrival + seconds[head], head, pod))
                    head += 1
                    arrived += 1
                elif eager:
                    taken[eager.popleft()].append(head)
                    head += 1
                    arrived += 1
                else:  # nobody can take any until a job ends
                    arrived = bisect_right(times, min(end, until), arrived)
                arrival = times[arrived] if arrived < count else float("inf")
                continue
            if end > until:
                break
            end, job, pod = runs[0]
            ended[job] = end
            worked_s += seconds[job]
            done += 1
            ahead = taken[pod]
            if ahead:
                job = ahead.popleft()
                started[job] = end
                heapreplace(runs, (end + seconds[job], job, pod))
                if returned:
                    ahead.append(returned.popleft())
                elif head < arrived:
                    ahead.append(head)
                    head += 1
                else:
                    eager.append(pod)
            elif advance == 0 and (returned or head < arrived):
                if returned:
                    job = returned.popleft()
                else:
                    job = head
                    head += 1
                started[job] = end
                heapreplace(runs, (end + seconds[job], job, pod))
            else:
                heappop(runs)
                idle.append(pod)
        while self._last_runs and self._last_runs[0][0] <= until:
            end, job = heappop(self._last_runs)
            ended[job] = end
            worked_s += seconds[job]
            done += 1
        self.worked_s += worked_s
        self.arrived, self._next, self.done = arrived, head, done

    def add(self, pod: int, now: float) -> None:
        """A pod is ready: its agent takes what it may hold."""
        self._taken[pod] = deque()
        self._idle.extend([pod] * self._devices)
        self._eager.extend([pod] * self._advance)
        self._hand_out(now)

    def remove(self, pod: int, now: float, grace_s: float) -> float:
        """A pod has to go: it ends the jobs it can end within the grace, and the queue has all others back at once.

        Returns when it has ended the last one.
        """
        back = list(self._taken.pop(pod))
        kept = []
        last_s = now
        for run in self._runs:
            end, job, of = run
            if of != pod:
                kept.append(run)
            elif end <= now + grace_s:
                heappush(self._last_runs, (end, job))
                last_s = max(last_s, end)
            else:
                self._lost_s += now - self.started[job]
                self.started[job] = -1.0
                self.interrupted += 1
                back.append(job)
        heapify(kept)
        self._runs[:] = kept
        for waiting in (self._idle, self._eager):
            others = [other for other in waiting if other != pod]
            waiting.clear()
            waiting.extend(others)
        self._returned = deque(sorted([*self._returned, *back]))
        self._hand_out(now)
        return last_s

    def _under_way(self) -> list[int]:
        return [job for _, job, _ in self._runs] + [job for _, job in self._last_runs]

    def _hand_out(self, now: float) -> None:
        while self.visible and (self._idle or self._eager):
            if self._returned:
                job = self._returned.popleft()
            else:
                job = self._next
                self._next += 1
            if self._idle:
                pod = self._idle.popleft()
                self.started[job] = now
                heappush(self._runs, (now + self._seconds[job], job, pod))
            else:
                self._taken[self._eager.popleft()].append(job)
