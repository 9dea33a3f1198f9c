"""How long the output bucket keeps what is in it: the rules of a deployment, which a folder on one machine follows."""

from configuration.config import Config
from contract.objects import FILE_DAYS, FILES_PREFIX, PREVIEWS_PREFIX, TASKS_PREFIX
from contract.queues import DEAD

_DAY_S = 24 * 3600
_PREVIEW_DAYS = 1
_FOLDER_DAYS = 2
"""For what a managed service leaves: a job that was released looks for it again."""


def lifetimes(config: Config, *, jobs_kept_s: int) -> dict[str, tuple[str, int]]:
    """Prefixes of keys and the days that objects below each are kept, by what they are; pictures are not among them."""
    # What a message leads to must outlive every queue that may hold it; what may be asked for again, its job.
    tasks_s = jobs_kept_s if config.keep_requests else DEAD.retention_s
    days = {
        "tasks": (TASKS_PREFIX, tasks_s // _DAY_S + 1),
        "previews": (PREVIEWS_PREFIX, _PREVIEW_DAYS),
        "files": (FILES_PREFIX, FILE_DAYS),
    }
    for runtime in config.models_runtime:
        if runtime.is_managed and (folder := runtime.managed.folder):
            days[folder.strip("_/")] = folder, _FOLDER_DAYS
    return days
