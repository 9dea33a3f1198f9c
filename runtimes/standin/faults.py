"""Faults that a test can set on a stand-in."""

from pydantic import BaseModel, ConfigDict

LOOK_S = 0.05
"""How often a held job checks whether it may continue."""
OUT_OF_MEMORY_WORDS = (
    "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 14.58 GiB of which 1.12 GiB is free."
)


class Faults(BaseModel):
    """One setting per fault; the defaults are no faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    step_s: float = 0.0
    """seconds per sampling step"""
    job_s: float = 0.0
    """additional seconds per job, spread over its steps"""
    fail_jobs: int = 0
    """how many of the next jobs fail with a plain error"""
    oom_jobs: int = 0
    """how many of the next jobs run out of GPU memory"""
    hang_jobs: int = 0
    """how many of the next jobs never end"""
    hold_at_step: int = 0
    """jobs wait before this sampling step until this is reset or they are stopped; 0: none"""
    garbage_path: str = ""
    """answer paths that contain this with 200 and garbage; empty: none"""
    drop_socket_after: str = ""
    """ComfyUI, InvokeAI: close a websocket after an event of this type"""
    mute_events: list[str] = []
    """ComfyUI, InvokeAI: types of events never to send ('binary' for ComfyUI's pictures)"""
    previews: bool = False
    """ComfyUI: send a picture at each sampling step"""
    throttle_jobs: int = 0
    """managed services: how many of the next calls are throttled"""
    deny_jobs: int = 0
    """managed services: how many of the next calls are denied"""
    calls_per_minute: int = 0
    """managed services: further calls in a minute are throttled; 0: none"""
    cold_s: float = 0.0
    """SageMaker: there is no instance, and the first asynchronous call gets one after so many seconds"""
    late_models: bool = False
    """SD WebUI: there are no model files; a server that was started so finds them later when it is told to look"""
    load_s: float = 0.0
    """answer everything with 503 for this many seconds from now"""


class InjectedError(Exception):
    """A fault makes this job fail."""


class NoMemoryError(InjectedError):
    """A fault makes this job run out of GPU memory."""
