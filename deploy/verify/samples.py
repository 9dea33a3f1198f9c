"""The sample requests of the runtime types, made ready for one runtime of one platform."""

import json
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.objects import TENANT_METADATA, tenant_label
from deploy.verify.errors import VerifyError
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.registry import RUNTIME_TYPES
from runtimes.sdwebui.checkpoints import CHECKPOINT_SUFFIXES

INPUT_PICTURE = Path(__file__).resolve().parents[2] / "test" / "input.png"
INPUT_KEY = "verify/input.png"
"""Where that picture lies in the output bucket."""

SAMPLE_CHECKPOINT = "v1-5-pruned-emaonly.safetensors"
"""The checkpoint that the sample files name."""

_S3_PLACEHOLDER = "${INPUT_S3_URL}"
_HTTP_PLACEHOLDER = "${INPUT_HTTP_URL}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLinks:
    """Links to the input picture."""

    s3: str
    http: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample request.

    Attributes:
        file: Its file.
        api_version: The API that it is for.
        runtime: Name of the runtime that shall do it.
        checkpoint: Checkpoint to ask for in place of the file's own; None leaves it.
    """

    file: Path
    api_version: str
    runtime: str
    checkpoint: str | None = None

    @property
    def name(self) -> str:
        """Name of its file, without the suffix."""
        return self.file.stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A sample with everything filled in, under a task id of its own."""

    sample: Sample
    task_id: str
    task_type: str
    body: dict[str, Any]


def samples_for(
    runtime_type: str,
    api_version: str,
    *,
    runtime: str,
    checkpoint: str | None = None,
    task_types: Collection[str] | None = None,
) -> list[Sample]:
    """The samples of a runtime type in an API version.

    Args:
        runtime_type: The type.
        api_version: The version.
        runtime: Name of the runtime that shall do them.
        checkpoint: Checkpoint to ask for in place of the samples' own; None leaves it.
        task_types: Those that are wanted; None wants all.

    Raises:
        VerifyError: There are none.
    """
    folders = {(one.name, path.name): path for one in RUNTIME_TYPES.values() for path in one.folder.glob("samples/v*")}
    folder = folders.get((runtime_type, api_version))
    if folder is None:
        known = ", ".join(f"{version} of {name}" for name, version in sorted(folders))
        raise VerifyError(f"There are no samples for {api_version} of {runtime_type}; there are for {known}.")
    samples = [
        Sample(file=file, api_version=api_version, runtime=runtime, checkpoint=checkpoint)
        for file in sorted(folder.glob("*.json"))
    ]
    samples.sort(key=lambda one: RUNTIME_TYPES[runtime_type].task_types.index(_task_type(one)))
    wanted = [one for one in samples if task_types is None or _task_type(one) in task_types]
    if not wanted:
        there_are = ", ".join(_task_type(one) for one in samples)
        raise VerifyError(f"No sample of {runtime_type} is {' or '.join(task_types or ())}; there are {there_are}.")
    return wanted


def samples_of(
    catalog: RuntimeCatalog,
    runtimes: Iterable[DeployedRuntime] | None = None,
    *,
    api_version: str | None = None,
    checkpoint: str | None = None,
    task_types: Collection[str] | None = None,
) -> list[Sample]:
    """The samples of every runtime; of v1alpha1 those that name a checkpoint which leads to exactly this runtime.

    Args:
        catalog: All runtimes of the platform.
        runtimes: Those whose samples are wanted; None wants all.
        api_version: The one version that is wanted; None wants all.
        checkpoint: Checkpoint to ask for; None asks for the runtime's own, or the samples'.
        task_types: Those that are wanted; None wants all.

    Raises:
        VerifyError: There are none.
    """
    samples = []
    chosen = list(catalog if runtimes is None else runtimes)
    for runtime in chosen:
        wanted = checkpoint or runtime.model_filename or SAMPLE_CHECKPOINT
        versions = ["v1alpha2"]
        if runtime.runtime_type.v1alpha1_task_types and catalog.for_checkpoint(wanted) == runtime:
            versions.append("v1alpha1")
        for version in versions:
            if api_version in (None, version):
                samples += [
                    sample
                    for sample in samples_for(runtime.type, version, runtime=runtime.name, checkpoint=wanted)
                    if (runtime.card is None or _task_type(sample) in runtime.task_types)
                    and (task_types is None or _task_type(sample) in task_types)
                ]
    if not samples:
        asked = " ".join(filter(None, (api_version, " or ".join(task_types or ()))))
        names = ", ".join(runtime.name for runtime in chosen)
        raise VerifyError(f"There is no sample for {asked or 'any task'} of {names or 'a platform without runtimes'}.")
    return samples


def _read(sample: Sample) -> Any:
    return json.loads(sample.file.read_text(encoding="utf-8"))


def _metadata(sample: Sample, body: Any) -> tuple[dict[str, Any], str, str]:
    """A body's metadata, and what id and task type are called there."""
    if sample.api_version == "v1alpha1":
        return body["alwayson_scripts"], "id_task", "task"
    return body["task"]["metadata"], "id", "tasktype"


def _task_type(sample: Sample) -> str:
    metadata, _, type_key = _metadata(sample, _read(sample))
    return str(metadata[type_key])


def make_request(sample: Sample, links: InputLinks) -> Request:
    """Read a sample's file and fill in links, runtime, checkpoint and a fresh task id."""
    body = _filled(_read(sample), links, sample.checkpoint)
    metadata, id_key, type_key = _metadata(sample, body)
    if "runtime" in metadata:
        metadata["runtime"] = sample.runtime
    metadata[id_key] += f"-{secrets.token_hex(4)}"
    return Request(sample=sample, task_id=metadata[id_key], task_type=metadata[type_key], body=body)


def upload_input(s3: Any, bucket: str, api_key_id: str | None) -> None:
    """Upload the input picture as a result of an API key's: its tasks may read no other object of the output bucket."""
    metadata = {} if api_key_id is None else {TENANT_METADATA: tenant_label(api_key_id)}
    picture = INPUT_PICTURE.read_bytes()
    s3.put_object(Bucket=bucket, Key=INPUT_KEY, Body=picture, ContentType="image/png", Metadata=metadata)


def _filled(value: Any, links: InputLinks, checkpoint: str | None) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, links, checkpoint) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, links, checkpoint) for item in value]
    if value == _S3_PLACEHOLDER:
        return links.s3
    if value == _HTTP_PLACEHOLDER:
        return links.http
    if checkpoint is not None and isinstance(value, str) and value.endswith(CHECKPOINT_SUFFIXES):
        return checkpoint
    return value
