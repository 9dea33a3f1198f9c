"""Runtime type sagemaker: an endpoint of SageMaker, asynchronous or in real time."""

from pathlib import Path

from runtimes.sagemaker.forms import TASK_TYPES
from runtimes.spec import Managed, RuntimeSpec

SPEC = RuntimeSpec(
    name="sagemaker",
    folder=Path(__file__).parent,
    hosting=Managed(service="sagemaker-runtime", actions=("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync")),
    task_types=TASK_TYPES,
    driver="runtimes.sagemaker.driver.executor:SageMaker",
    checks="runtimes.sagemaker.checks:check",
    warnings="runtimes.sagemaker.checks:warn",
    schema="runtimes.sagemaker.schema:content_schema",
    options="runtimes.sagemaker.options:SageMakerEndpoint",
    model_example="{endpoint: my-endpoint}",
    content="runtimes.sagemaker.content:content_of",
)
