"""Endpoints of SageMaker: whether a runtime's is there, takes requests, and writes where the agent looks."""

from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import AWS_ERRORS, Account, error_code
from deploy.support.finding import Finding, Sufficiency
from runtimes.sagemaker.options import FOLDER, SageMakerEndpoint

_TAKES_REQUESTS = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})
_ABSENT = "ValidationException"


def look(account: Account, runtime: str, options: SageMakerEndpoint) -> Finding:
    """Whether a runtime's endpoint takes requests."""
    what, needed = f"Endpoint of {runtime}", f"{options.endpoint}, in service"
    if options.make is not None:
        return Finding(what, needed, "the deployment makes it", Sufficiency.ENOUGH)
    region = options.region or account.region
    try:
        endpoint = account.client("sagemaker", region).describe_endpoint(EndpointName=options.endpoint)
    except AWS_ERRORS as exc:
        if isinstance(exc, ClientError) and error_code(exc) == _ABSENT:
            advice = "correct model.endpoint, make the endpoint, or let the deployment make it (model.make)"
            return Finding(what, needed, f"none in {region}", Sufficiency.BLOCKS, advice)
        return Finding(what, needed, "?", Sufficiency.UNKNOWN, f"sagemaker:DescribeEndpoint in {region}: {exc}")
    status = endpoint["EndpointStatus"]
    if advice := _mismatch(endpoint.get("AsyncInferenceConfig"), options):
        return Finding(what, needed, f"{status} in {region}", Sufficiency.BLOCKS, advice)
    if status in _TAKES_REQUESTS:
        return Finding(what, needed, f"{status} in {region}", Sufficiency.ENOUGH)
    return Finding(what, needed, f"{status} in {region}", Sufficiency.SHORT, "jobs fail until it is in service")


def _mismatch(asynchronous: dict[str, Any] | None, options: SageMakerEndpoint) -> str:
    """What to change so that the endpoint is called as it is configured; empty for nothing."""
    if (asynchronous is not None) != (options.mode == "async"):
        mode = "realtime" if asynchronous is None else "async"
        return f"set model.mode to {mode}, as the endpoint is configured"
    path = asynchronous["OutputConfig"].get("S3OutputPath", "none") if asynchronous is not None else ""
    if asynchronous is None or path.rstrip("/").endswith(f"/{FOLDER.rstrip('/')}"):
        return ""
    return f"its S3OutputPath, {path}, must be s3://OUTPUT-BUCKET/{FOLDER} (docs/sagemaker.md)"


def open_access(_: Account, options: SageMakerEndpoint) -> str:
    """Nothing is to be opened: an endpoint is the account's own."""
    return f"{options.endpoint} is the account's own"
