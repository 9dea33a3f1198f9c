"""Runtime type bedrock: image models of Amazon Bedrock, by InvokeModel."""

from pathlib import Path

from runtimes.bedrock.families import TASK_TYPES
from runtimes.spec import Managed, RuntimeSpec

SPEC = RuntimeSpec(
    name="bedrock",
    folder=Path(__file__).parent,
    hosting=Managed(service="bedrock-runtime", actions=("bedrock:InvokeModel",)),
    task_types=TASK_TYPES,
    driver="runtimes.bedrock.driver.executor:Bedrock",
    checks="runtimes.bedrock.checks:check",
    warnings="runtimes.bedrock.checks:warn",
    schema="runtimes.bedrock.schema:content_schema",
    options="runtimes.bedrock.options:BedrockModel",
    model_example="{id: stability.sd3-5-large-v1:0, region: us-west-2}",
    content="runtimes.bedrock.content:content_of",
)
