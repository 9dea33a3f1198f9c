"""Pods of a managed runtime on a cluster: how many, and how many jobs each has."""

import math

from configuration.config import ModelsRuntime

_MIN_PODS, _MAX_JOBS_EACH = 2, 32
"""A second pod goes on while a node is replaced; one agent is quick enough for so many jobs."""


def managed_pods(runtime: ModelsRuntime) -> tuple[int, int]:
    """How many pods a managed runtime has at most, and how many jobs each then has: as many as its concurrency in all.

    The operator may set how many pods there are; with more pods than jobs, each has one.
    """
    values, concurrency = runtime.extra_values.runtime, runtime.managed.concurrency
    is_set = not values.scaling.enabled or "max_replica_count" in values.scaling.model_fields_set
    pods = values.max_pods if is_set else min(concurrency, max(_MIN_PODS, math.ceil(concurrency / _MAX_JOBS_EACH)))
    return pods, max(1, concurrency // max(1, pods))
