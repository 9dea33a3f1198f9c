"""What ``/v1/key`` answers."""

from typing import Literal

from pydantic import ConfigDict

from api.faces.v1.models.base import ApiModel


class NamedKey(ApiModel):
    """A key of the platform's configuration."""

    id: str
    """What jobs have as their `tenant`."""
    name: str


class KeyView(ApiModel):
    """An API key."""

    model_config = ConfigDict(title="Key")

    id: str
    """What its jobs have as their `tenant`."""
    role: Literal["user", "admin"]
    jobs_per_day: int | None
    """Maximum number of jobs in a day (UTC); null if there is none."""
    queued_jobs: int | None
    """Maximum number of its jobs that may wait at once; null if there is none."""
    keys: list[NamedKey] = []
    """For admin keys only: all keys of the configuration."""
