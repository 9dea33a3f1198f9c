"""From a request to its first picture: the stages of a start, their seconds, and which of them wait for which.

A stage has three numbers: how long it takes when all goes well, typically, and on a bad day. Its ``source`` says where
they come from; a number that nobody has measured is called an estimate, and whose it is. Stages that do not wait for
each other run side by side, so the sum is that of the longest path, not of all.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from configuration.chart_values import ChartValues
from configuration.config import Config, ModelsRuntime
from configuration.quantities import amount
from runtimes.flux.options import ModelOptions

Case = Literal["good", "typical", "bad"]
Capacity = Literal["none", "node", "pod"]
"""What is there when the request comes: nothing, a node that a placeholder pod keeps, or a pod that is ready."""

_NETWORK_GB_S = 1.1
"""Up to 10 Gbit/s of g5.xlarge and g6.xlarge (EC2 user guide, accelerated computing, November 2026), less headers."""
_ONE_READER_GB_S = 0.75
"""A plain read of one file by Python on Mountpoint: 6 Gbit/s (github.com/awslabs/mountpoint-s3/issues/833)."""
_HUB_GB_S = 0.2
_MEMORY_GB_S = 3.0
"""From the page cache to the GPU through pageable memory, an estimate of the project."""
_TMP_SHARE = 0.6
"""Of a server's /tmp, that copies of models may take (runtimes/read_ahead.py)."""
_BYTES_A_PARAMETER = 2
_CHECKPOINT_GB = 4.27
"""v1-5-pruned-emaonly.safetensors; what a runtime is taken for whose model's size is not known."""


class Seconds(NamedTuple):
    """How long a stage takes."""

    good: float
    typical: float
    bad: float

    def drawn(self, source: random.Random) -> float:
        """One of the times that it may take: between good and bad, most often near typical."""
        return source.triangular(self.good, self.bad, self.typical)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a start."""

    name: str
    seconds: Seconds
    after: tuple[str, ...]
    """The stages that it waits for; none waits for nothing."""
    source: str
    """Where its numbers come from."""
    change: str = ""
    """What the platform does to shorten it; empty where it can do nothing."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one start, each after those that it waits for."""

    all: tuple[Stage, ...]

    def total(self, case: Case = "typical") -> float:
        """Seconds until the first picture where every stage takes as long as in this case."""
        return max(self.ends(case).values())

    def ends(self, case: Case = "typical") -> dict[str, float]:
        """When each stage ends, in seconds after the request."""
        return self._ends({stage.name: getattr(stage.seconds, case) for stage in self.all})

    def path(self, case: Case = "typical") -> list[Stage]:
        """The stages that the first picture waits for, first to last: to shorten another one changes nothing."""
        ends, by_name = self.ends(case), {stage.name: stage for stage in self.all}
        name: str | None = max(ends, key=ends.__getitem__)
        found = []
        while name is not None:
            found.append(by_name[name])
            name = max(by_name[name].after, key=ends.__getitem__, default=None)
        return found[::-1]

    def sampled(self, count: int, seed: int = 0) -> list[float]:
        """Seconds until the first picture of ``count`` simulated starts, in ascending order."""
        source = random.Random(seed)  # noqa: S311 (a simulation)
        return sorted(
            max(self._ends({stage.name: stage.seconds.drawn(source) for stage in self.all}).values())
            for _ in range(count)
        )

    def _ends(self, seconds: Mapping[str, float]) -> dict[str, float]:
        ends: dict[str, float] = {}
        for stage in self.all:
            ends[stage.name] = max((ends[name] for name in stage.after), default=0.0) + seconds[stage.name]
        return ends


def first_picture(config: Config, runtime: ModelsRuntime, capacity: Capacity | None = None) -> Stages | None:
    """List the stages between a request to a runtime and its first picture.

    Args:
        config: The deployment.
        runtime: One of its runtimes.
        capacity: What is there when the request comes. Default: what the runtime's settings keep, where a schedule
            of placeholders counts as always.

    Returns:
        None where nothing can be known: for a service of AWS, a chart of one's own, or nodes that are not Karpenter's.
    """
    values = runtime.extra_values
    if runtime.is_managed or runtime.chart_repository is not None or not values.karpenter.enabled:
        return None
    start = capacity or kept_capacity(values)
    stages = [_REQUEST]
    if start == "pod":
        return Stages((*stages, _received("request"), _drawn(runtime, "agent")))
    poll_s = values.runtime.scaling.polling_interval if values.runtime.scaling.enabled else 0
    stages.append(_scaled(poll_s))
    if start == "node":
        stages.append(_PREEMPTION)
        placed, images, libraries = "preemption", [], []
    else:
        stages += _node(values)
        placed, images, libraries = "network", ["images"], ["libraries"]
    if not runtime.copies_models:
        if start == "none":
            stages.append(_STORAGE)
            placed = "storage"
        stages.append(_mounted(placed))
        placed = "mount"
    stages += [_started(placed, *images), _imported("containers", *libraries), *_model(config, runtime)]
    return Stages((*stages, _received("model"), _drawn(runtime, "agent")))


def kept_capacity(values: ChartValues) -> Capacity:
    """What a runtime's settings keep for the next request."""
    scaling = values.runtime.scaling
    if not scaling.enabled:
        return "pod" if values.runtime.replicas else "none"
    return "pod" if scaling.min_replica_count else "node" if scaling.warm.nodes else "none"


_ESTIMATE = "estimate of the project"
_DAEMONSETS = (
    "images are pulled side by side; with a snapshot made with --daemonsets, which spares about 2 s, not at all"
)
_REQUEST = Stage(
    "request",
    Seconds(0.2, 0.5, 2.0),
    (),
    f"{_ESTIMATE}: Lambda, SNS, SQS; a cold function adds a second",
    "byte code in the function's bundle",
)
_PROGRAM_START = Seconds(0.8, 1.5, 3)
"""A container's start, and the imports of a program of the agent's (measured: 0.9 s)."""
_AGENT_START = Stage(
    "agent start",
    _PROGRAM_START,
    ("model files",),
    f"measured: 0.9 s for its imports; the container's start: {_ESTIMATE}",
    "byte code in the image",
)
_PREEMPTION = Stage(
    "preemption",
    Seconds(0.5, 1.5, 3.0),
    ("scaling",),
    f"{_ESTIMATE}: the scheduler deletes the placeholder, which has no grace, and binds the pod in its next attempt",
    "a placeholder of lower priority keeps the node",
)


_STORAGE = Stage(
    "storage",
    Seconds(7, 9, 15),
    ("network",),
    f"{_ESTIMATE}: the S3 driver's pod needs the network, pulls three images, registers, and takes its taint away",
    _DAEMONSETS,
)


def _scaled(poll_s: float) -> Stage:
    return Stage(
        "scaling",
        Seconds(0.2, poll_s / 2 + 0.2, poll_s + 0.5),
        ("request",),
        "KEDA 2.21 reads the queue each pollingInterval, and takes a Deployment from 0 to 1 itself, without HPA",
        f"pollingInterval {poll_s:g}",
    )


def _node(values: ChartValues) -> Iterator[Stage]:
    """What a node takes, from its order until it can mount models and has the images."""
    yield Stage(
        "order",
        Seconds(2, 4, 6),
        ("scaling",),
        "Karpenter 1.14 waits 1 s for further pods (BATCH_IDLE_DURATION), then calls CreateFleet; seconds of the call: "
        + _ESTIMATE,
    )
    yield Stage(
        "boot",
        Seconds(33, 42, 55),
        ("order",),
        f"{_ESTIMATE}, from measured parts: EC2 starts a virtual machine 11 s after its order (c5.xlarge, 2022, "
        "awslabs/amazon-eks-ami#1099, which says that GPU instances take longer); Bottlerocket boots in 29 to 35 s "
        "(bottlerocket-os/bottlerocket#4163, bottlerocket-core-kit#700), and one was in its cluster 41 s after its "
        "order (2021, keikoproj/instance-manager#290)",
    )
    has_snapshot = values.karpenter.node_template.data_volume.snapshot_id is not None
    yield Stage(
        "network",
        Seconds(5, 7, 15),
        ("boot",),
        f"{_ESTIMATE}: the VPC CNI's two images, of which one alone was pulled in 4 s (awslabs/amazon-eks-ami#938), "
        "then its start; Outreach saw 45 s from launch to ready, which is boot and network together (kube.fm, "
        "February 2026); that node of 2021 took 30 s more until it was ready",
        _DAEMONSETS,
    )
    if has_snapshot:
        yield Stage("images", Seconds(0, 0, 0), ("boot",), "they are in the snapshot", "a snapshot with the images")
        yield Stage(
            "libraries",
            Seconds(8, 16, 30),
            ("images",),
            f"{_ESTIMATE}: 4.9 GB of libraries (measured), from a volume that fills at up to 300 MiB/s",
            "read side by side by a DaemonSet that does not wait for network and storage",
        )
    else:
        yield Stage(
            "images",
            Seconds(5, 7.5, 20),
            ("boot",),
            "computed: 4.9 GB of libraries, 2.4 GB by zstd (measured), which SOCI fetches in ranges at the network's "
            "10 Gbit/s and unpacks side by side, the largest layer of 1.9 GB at 0.55 GB/s (zstd of Go, as in "
            "containerd, on these libraries, measured); ECR's answers: " + _ESTIMATE,
            "pulled by a DaemonSet that waits for neither network nor storage; zstd, and layers of their own for large "
            "libraries",
        )
        yield Stage(
            "libraries",
            Seconds(0.5, 1.5, 4),
            ("images",),
            f"{_ESTIMATE}: just written, they are still in memory",
            "read side by side by the same DaemonSet",
        )


def _mounted(after: str) -> Stage:
    return Stage(
        "mount",
        Seconds(4, 5, 8),
        (after,),
        f"{_ESTIMATE}: the driver starts Mountpoint's pod, which looks at the bucket",
    )


def _started(*after: str) -> Stage:
    return Stage("containers", Seconds(0.7, 1.2, 3), after, f"{_ESTIMATE}: the images are there")


def _imported(*after: str) -> Stage:
    return Stage(
        "imports",
        Seconds(7, 10, 14),
        after,
        "SD WebUI reports 8 to 10 s from start to API on desktops (lshqqytiger/stable-diffusion-webui-amdgpu#319, "
        "#320); torch, diffusers and transformers take 6 s on two cores, where all is in memory (measured)",
        "byte code in the image; libraries are in memory before the server starts",
    )


def _model(config: Config, runtime: ModelsRuntime) -> Iterator[Stage]:
    """Reading the model's files, and taking them to the GPU."""
    size_gb = _model_gb(runtime)
    loaded_s = size_gb / _MEMORY_GB_S
    loading = Seconds(0.6 * loaded_s, loaded_s + 0.5, 2 * loaded_s + 1)
    from_hub = isinstance(runtime.model, ModelOptions) and runtime.model.source is None
    if from_hub or config.model_bucket_arn is None:
        read = Seconds(size_gb / _NETWORK_GB_S, size_gb / _HUB_GB_S, 3 * size_gb / _HUB_GB_S)
        source = f"{_ESTIMATE}: {size_gb:.1f} GB from the Hugging Face hub, at about {_HUB_GB_S} GB/s"
        yield Stage("model", _both(read, loading), ("imports",), source, "a copy in the model bucket is quicker")
        return
    loaded = f"{_ESTIMATE}: to the GPU"
    if runtime.copies_models:
        yield _copied(size_gb)
        yield _AGENT_START
        yield Stage("model", loading, ("imports", "agent start"), loaded)
        return
    fastest_s, one_reader_s = size_gb / _NETWORK_GB_S, size_gb / _ONE_READER_GB_S
    source = (
        f"computed: {size_gb:.1f} GB; a plain read by Python gets 6 Gbit/s of Mountpoint (awslabs/mountpoint-s3#833), "
        "several get up to the network's 10"
    )
    copied = _copied_share(runtime)
    read = Seconds(*((1 - copied) * seconds for seconds in (fastest_s, one_reader_s, 2 * one_reader_s)))
    after: tuple[str, ...] = ("imports",)
    if copied:
        copy = Seconds(*(copied * seconds for seconds in (fastest_s, 1.2 * fastest_s, 2 * one_reader_s)))
        change = f"{copied:.0%} copied to the node while the server imports"
        yield Stage("model files", copy, ("containers",), source, change)
        after = ("imports", "model files")
    yield Stage("model", _both(read, loading), after, f"{loaded}; the rest of the files as above")


def _copied(size_gb: float) -> Stage:
    """What the pod's init container takes, which runs beside the server."""
    fastest_s = size_gb / _NETWORK_GB_S
    return Stage(
        "model files",
        _both(_PROGRAM_START, Seconds(fastest_s, 1.3 * fastest_s, 3 * fastest_s)),
        ("containers",),
        f"computed: {size_gb:.1f} GB by 16 readers at the network's 10 Gbit/s, which take 2.5 s of a processor for "
        "each GB (measured), beside the server's imports",
        "copied to the node by the pod itself, while the server imports: no volume is waited for",
    )


def _copied_share(runtime: ModelsRuntime) -> float:
    """How much of a model the images copy ahead: what the first job needs is known, and has room in /tmp."""
    if not isinstance(runtime.model, ModelOptions):
        return 1.0 if runtime.static_model is not None else 0.0
    known = runtime.model.known
    if known is None:
        return 0.0
    room_gb = _TMP_SHARE * float(amount(runtime.extra_values.runtime.inference_api.tmp_size) or 0) / 1e9
    copied_gb, total_gb = 0.0, known.weights_gb("none")
    for parameters in (*known.encoder_parameters, known.denoiser_parameters):
        size_gb = parameters * _BYTES_A_PARAMETER / 1e9
        if copied_gb + size_gb <= room_gb:
            copied_gb += size_gb
    return copied_gb / total_gb


def _both(first: Seconds, second: Seconds) -> Seconds:
    """Two that come one after the other."""
    return Seconds(*(one + other for one, other in zip(first, second, strict=True)))


def _received(after: str) -> Stage:
    return Stage(
        "agent",
        Seconds(0.05, 0.3, 0.6),
        (after,),
        "the agent asks the server at least twice a second until it answers; its receive returns what is there",
        "the agent starts beside the server, not after it",
    )


def _drawn(runtime: ModelsRuntime, after: str) -> Stage:
    if isinstance(runtime.model, ModelOptions):
        return Stage("picture", Seconds(4, 5, 8), (after,), f"{_ESTIMATE}: CUDA's first kernels and a picture of 1.5 s")
    return Stage(
        "picture",
        Seconds(1.8, 2.5, 5),
        (after,),
        f"{_ESTIMATE}: a picture of 1.5 s, and kernels that nothing has run yet; SD WebUI's authors put the first "
        "layers at 2.7 s (devices.first_time_calculation)",
        "the first layers are run in a thread while the server starts",
    )


def _model_gb(runtime: ModelsRuntime) -> float:
    if isinstance(runtime.model, ModelOptions) and (known := runtime.model.known) is not None:
        return known.weights_gb("none")
    return _CHECKPOINT_GB
