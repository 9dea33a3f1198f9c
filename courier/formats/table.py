"""The bodies of webhooks, by the API whose client asks for them."""

from collections.abc import Callable, Mapping
from typing import Any

from courier.formats.comfyui_api import output_complete, prompt_ended
from courier.formats.fal import fal_webhook
from courier.formats.replicate import prediction
from courier.formats.runpod import endpoint_job
from jobs.job import Job
from jobs.links import ResultLinks

Format = Callable[[Job, ResultLinks], Mapping[str, Any]]
"""The body for a job's latest state, as an object of JSON."""

FORMATS: Mapping[str, Format] = {
    "replicate": prediction,
    "fal": fal_webhook,
    "runpod": endpoint_job,
    "comfyui-api": prompt_ended,
    "comfyui-api-legacy": output_complete,
}
"""By the name of the dialect; comfyui-api has an older form besides."""
