"""The sample requests of the runtime types, made ready for one runtime of one platform."""

import json
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.objects import TENANT_METADATA, tenant_label
from deploy.errors import DeployError
from deploy.scripts import ROOT
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.sdwebui.checkpoints import CHECKPOINT_SUFFIXES

INPUT_PICTURE = ROOT / "test" / "input.png"
INPUT_KEY = "verify/input.png"
"""Its key in the output bucket."""
SAMPLE_CHECKPOINT = "v1-5-pruned-emaonly.safetensors"
"""The checkpoint that the sample files name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLinks:
    """Links to the input picture."""

    s3: str
    http: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample request in its file, for a runtime; a checkpoint takes the place of the file's own."""

    file: Path
    api_version: str
    runtime: str
    checkpoint: str | None = None

    @property
    def name(self) -> str:
        """Name of its file, without the suffix."""
        return self.file.stem

    @property
    def body(self) -> Any:
        """The file's content."""
        return json.loads(self.file.read_text(encoding="utf-8"))

    @property
    def task_type(self) -> str:
        """The task type in the file."""
        metadata, _, type_key = _metadata(self, self.body)
        return str(metadata[type_key])


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest:
    """A sample with everything filled in, under a task id of its own."""

    sample: Sample
    task_id: str
    task_type: str
    body: dict[str, Any]


def samples_of(
    catalog: RuntimeCatalog,
    runtimes: Iterable[DeployedRuntime] | None = None,
    *,
    api_version: str | None = None,
    checkpoint: str | None = None,
    task_types: Collection[str] | None = None,
) -> list[Sample]:
    """The samples of every runtime; of v1alpha1 those that name a checkpoint which leads to exactly this runtime.

    ``runtimes``, ``api_version`` and ``task_types`` leave only some of them, unless they are None. ``checkpoint`` is
    asked for in place of the runtime's own, or the samples'.

    Raises:
        DeployError: There are none.
    """
    chosen = list(catalog if runtimes is None else runtimes)
    samples: list[Sample] = []
    for runtime in chosen:
        wanted = checkpoint or runtime.model_filename or SAMPLE_CHECKPOINT
        spec = runtime.runtime_type
        is_reached = spec.v1alpha1_task_types and catalog.for_checkpoint(wanted) == runtime
        for version in ("v1alpha2", "v1alpha1") if is_reached else ("v1alpha2",):
            files = sorted((spec.folder / "samples" / version).glob("*.json"))
            found = [Sample(file=one, api_version=version, runtime=runtime.name, checkpoint=wanted) for one in files]
            samples += [
                one
                for one in sorted(found, key=lambda one: spec.task_types.index(one.task_type))
                if api_version in (None, version)
                and one.task_type in runtime.task_types
                and (task_types is None or one.task_type in task_types)
            ]
    if not samples:
        asked = " ".join(filter(None, (api_version, " or ".join(task_types or ()))))
        names = ", ".join(runtime.name for runtime in chosen) or "a platform without runtimes"
        raise DeployError(
            f"There is no sample for {asked or 'any task'} of {names}.",
            "Name another runtime, task type or API version.",
        )
    return samples


def make_request(sample: Sample, links: InputLinks) -> SampleRequest:
    """Read a sample's file and fill in links, runtime, checkpoint and a fresh task id."""
    body = _filled(sample.body, links, sample.checkpoint)
    metadata, id_key, type_key = _metadata(sample, body)
    if "runtime" in metadata:
        metadata["runtime"] = sample.runtime
    metadata[id_key] += f"-{secrets.token_hex(4)}"
    return SampleRequest(sample=sample, task_id=metadata[id_key], task_type=metadata[type_key], body=body)


def upload_input(s3: Any, bucket: str, api_key_id: str | None) -> None:
    """Upload the input picture as a result of an API key's: its tasks may read no other object of the output bucket."""
    metadata = {} if api_key_id is None else {TENANT_METADATA: tenant_label(api_key_id)}
    picture = INPUT_PICTURE.read_bytes()
    s3.put_object(Bucket=bucket, Key=INPUT_KEY, Body=picture, ContentType="image/png", Metadata=metadata)


def _metadata(sample: Sample, body: Any) -> tuple[dict[str, Any], str, str]:
    """A body's metadata, and the keys of id and task type in it."""
    if sample.api_version == "v1alpha1":
        return body["alwayson_scripts"], "id_task", "task"
    return body["task"]["metadata"], "id", "tasktype"


def _filled(value: Any, links: InputLinks, checkpoint: str | None) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, links, checkpoint) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, links, checkpoint) for item in value]
    if value in ("${INPUT_S3_URL}", "${INPUT_HTTP_URL}"):
        return links.s3 if value == "${INPUT_S3_URL}" else links.http
    if checkpoint is not None and isinstance(value, str) and value.endswith(CHECKPOINT_SUFFIXES):
        return checkpoint
    return value
