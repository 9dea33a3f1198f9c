"""What both servers stand on: the models they claim to have, their painter, the faults and the list of jobs."""

from dataclasses import dataclass, field

from runtimes.standin.faults import FaultBoard, Faults
from runtimes.standin.jobs import JobLog
from runtimes.standin.painter import Painter

DEFAULT_MODELS = ("v1-5-pruned-emaonly.safetensors",)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The surroundings of one server."""

    models: tuple[str, ...] = DEFAULT_MODELS
    painter: Painter = field(default_factory=Painter)
    faults: FaultBoard = field(default_factory=lambda: FaultBoard(Faults()))
    jobs: JobLog = field(default_factory=JobLog)
