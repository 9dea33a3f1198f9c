"""How each of the platform's Lambda functions is made."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.context import Context
from cdk.nag import acknowledge


class PythonFunction(Construct):
    """A function with a role of its own and a log group, traced by X-Ray.

    ``grants`` is what its role may do in addition to writing log and traces; ``settings`` are further arguments of
    ``aws_lambda.Function``: code, handler, timeout, memory_size and so on.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        context: Context,
        description: str,
        grants: Sequence[iam.PolicyStatement],
        **settings: Any,
    ) -> None:
        super().__init__(scope, construct_id)
        log = context.log_group(self, "Log")
        self.role = iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"), description=description
        )
        log.grant_write(self.role)
        for grant in grants:
            self.role.add_to_policy(grant)
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            role=self.role,
            log_group=log,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            **settings,
        )
        acknowledge(
            self.role,
            "AwsSolutions-IAM5[Resource::*]",
            "X-Ray's PutTraceSegments and PutTelemetryRecords know no resources; nothing else is granted on all.",
        )
