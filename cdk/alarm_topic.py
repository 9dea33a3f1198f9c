"""Who is told of alarms."""

from collections.abc import Sequence

from aws_cdk import ArnFormat, Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct


class AlarmTopic(Construct):
    """A topic that alarms are published to, and its e-mail subscriptions; each address must confirm once.

    CloudWatch cannot publish to a topic under SNS's own key, whose policy nobody can change
    (https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns): without a key of the operator's the topic has
    one of its own. The policy of the operator's must name CloudWatch (``customer_key``).

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        emails: Who is told.
        key: The operator's key.

    Attributes:
        topic: The topic.
    """

    def __init__(self, scope: Construct, construct_id: str, *, emails: Sequence[str], key: kms.IKey | None) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", master_key=key or self._own_key(), enforce_ssl=True)
        # A topic with a policy of its own has lost the one that let all of the account publish.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnLike": {"aws:SourceArn": self._alarms_arn()},
                },
            )
        )
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))

    def _own_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            description="Encrypts alarms on their way to e-mail",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        return key

    def _alarms_arn(self) -> str:
        stack = Stack.of(self)
        return stack.format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"{stack.stack_name}-*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
