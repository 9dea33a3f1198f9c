"""What a test can make a stand-in do wrong."""

from pydantic import BaseModel, ConfigDict

LOOK_S = 0.05
"""How often a job that is held looks whether it may go on."""
OUT_OF_MEMORY_WORDS = (
    "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 14.58 GiB of which 1.12 GiB is free."
)


class Faults(BaseModel):
    """One setting per way to misbehave; the defaults misbehave in none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    step_s: float = 0.0
    """seconds that one sampling step takes"""
    job_s: float = 0.0
    """seconds that a job takes on top of its steps, spread over them"""
    fail_jobs: int = 0
    """how many of the next jobs fail with a plain error"""
    oom_jobs: int = 0
    """how many of the next jobs fail for want of GPU memory"""
    hang_jobs: int = 0
    """how many of the next jobs never end"""
    hold_at_step: int = 0
    """jobs wait before this sampling step until it is lifted or they are stopped; 0: none"""
    garbage_path: str = ""
    """paths that contain this are answered with 200 and garbage; empty: none"""
    drop_socket_after: str = ""
    """ComfyUI: cut a websocket after it got an event of this type"""
    mute_events: list[str] = []
    """ComfyUI: types of events that are never sent ('binary' for pictures)"""
    previews: bool = False
    """ComfyUI: send a picture at each sampling step"""
    load_s: float = 0.0
    """seconds, from when it is set, in which everything is answered with 503"""


class InjectedError(Exception):
    """A fault in force fails this job."""


class NoMemoryError(InjectedError):
    """A fault in force leaves this job without GPU memory."""
