"""How Karpenter hears that AWS is about to take a node away."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.nag import acknowledge

_EVENTS = {
    "SpotInterruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "RebalanceRecommendation": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "InstanceStateChange": ("aws.ec2", "EC2 Instance State-change Notification"),
    "ScheduledChange": ("aws.health", "AWS Health Event"),
    "CapacityReservationInterruption": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
"""Source and detail-type of what Karpenter 1.14 handles (its website, reference/cloudformation)."""


class InterruptionQueue(Construct):
    """A queue, and the five rules of EventBridge that fill it.

    SQS's own key encrypts it, whatever key the operator has: EventBridge would need a place in that key's policy, and
    where it had none, warnings would be lost in silence. A message names an instance, and lives five minutes.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.

    Attributes:
        queue: The queue.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.minutes(5),
        )
        acknowledge(self.queue, "AwsSolutions-SQS3", "A warning that could not be handled is worthless minutes later.")
        for name, (source, detail_type) in _EVENTS.items():
            events.Rule(
                self,
                name,
                event_pattern=events.EventPattern(source=[source], detail_type=[detail_type]),
                targets=[targets.SqsQueue(self.queue)],
            )
