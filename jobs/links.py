"""Links to the results of jobs: they need no key, and expire."""

import mimetypes
from dataclasses import dataclass

from contract.signatures import OutputLink, output_token
from jobs.job import Job, StoredOutput

LINK_PERIOD_S = 15 * 60
LINK_PERIODS = 4
"""A link to an output is valid for 60 to 75 minutes: long enough to look at a page with a job, and short enough that a
leaked link soon expires. Within a period a job's links stay the same, so that browsers can cache its pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLink:
    """A link to one file of a result; ``known`` is what its job's item says of it."""

    url: str
    key: str
    content_type: str
    known: StoredOutput | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLinks:
    """Makes links for one answer or webhook.

    Attributes:
        base_url: The URL by which the caller reached the API, without a slash at its end.
        root: The platform's root secret.
    """

    base_url: str
    root: str
    now_s: float

    def of(self, job: Job) -> list[ResultLink]:
        """Links to a job's results, in order. They answer with the bytes themselves, whatever key is sent along."""
        return [self._link(key, known) for key, known in job.results]

    def _link(self, key: str, known: StoredOutput | None) -> ResultLink:
        name = key.rpartition("/")[2]
        content_type = known.content_type if known else content_type_of(name)
        link = OutputLink(key=key, content_type=content_type, name=name, expires_s=links_end_s(self.now_s))
        url = f"{self.base_url}/{output_path(self.root, link)}?redirect=false"
        return ResultLink(url=url, key=key, content_type=content_type, known=known)


def links_end_s(now_s: float) -> int:
    """When links made now expire, seconds since 1970."""
    return (int(now_s) // LINK_PERIOD_S + 1 + LINK_PERIODS) * LINK_PERIOD_S


def output_path(root: str, link: OutputLink) -> str:
    """The path below the API's base at which anyone can fetch an output."""
    return f"v1/outputs/{output_token(root, link)}/{link.name}"


def content_type_of(name: str) -> str:
    """The media type that a file's name suggests; "" for none."""
    return mimetypes.guess_type(name)[0] or ""
