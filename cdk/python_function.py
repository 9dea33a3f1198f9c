"""How each of the platform's Lambda functions is made."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk.log_group import log_group
from cdk.nag import acknowledge


class PythonFunction(Construct):
    """A function with a role of its own that grants what is said here, and a log group that forgets.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        code: Its bundle (``cdk.lambda_code``).
        handler: Dotted path of its handler.
        description: What it does, for people who look at the console; its role has the same.
        environment: What the handler reads.
        timeout: When it is given up.
        memory_mib: Its memory, and with it its share of a CPU.
        grants: What its role may do besides writing its log and its traces.
        log_retention: How long its log is kept.
        key: The operator's key, for the log; None leaves it to CloudWatch's own.
        retry_attempts: How often an event is tried again that nobody waits for. Default: Lambda's own, twice.

    Attributes:
        function: The function.
        role: Its role.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        code: lambda_.Code,
        handler: str,
        description: str,
        environment: Mapping[str, str],
        timeout: Duration,
        memory_mib: int,
        grants: Sequence[iam.PolicyStatement],
        log_retention: logs.RetentionDays,
        key: kms.IKey | None,
        retry_attempts: int | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        log = log_group(self, "Log", retention=log_retention, key=key)
        self.role = iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"), description=description
        )
        log.grant_write(self.role)
        for grant in grants:
            self.role.add_to_policy(grant)
        self.function = lambda_.Function(
            self,
            "Function",
            code=code,
            handler=handler,
            description=description,
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            environment=dict(environment),
            timeout=timeout,
            memory_size=memory_mib,
            role=self.role,
            log_group=log,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            retry_attempts=retry_attempts,
        )
        acknowledge(
            self.role,
            "AwsSolutions-IAM5[Resource::*]",
            "X-Ray's PutTraceSegments and PutTelemetryRecords know no resources; nothing else is granted on all.",
        )
