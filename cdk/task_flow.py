"""The way of a task outside the cluster: what takes it, carries it, and answers for it when it is lost."""

from constructs import Construct

from cdk.context import Context
from cdk.courier import CourierFunctions
from cdk.front_door import FrontDoorApi
from cdk.keeper import KeeperFunctions
from cdk.messaging import Messaging
from cdk.signing import root_secret
from cdk.storage import Kept, jobs_table, picture_bucket


class TaskFlow(Construct):
    """Front door, topics, queues, jobs table, keeper, courier and output bucket: all that needs no cluster."""

    def __init__(self, scope: Construct, construct_id: str, *, context: Context) -> None:
        super().__init__(scope, construct_id)
        self.bucket = picture_bucket(Construct(self, "Output"), context)
        self.table = jobs_table(Construct(self, "Jobs"), context)
        self.messaging = Messaging(self, "Messaging", context=context)
        kept = Kept(self.table, self.bucket, root_secret(Construct(self, "Signing"), context))
        self.keeper = KeeperFunctions(self, "Keeper", context=context, kept=kept, messaging=self.messaging)
        self.courier: CourierFunctions | None = None
        if context.config.webhooks.enabled:
            self.courier = CourierFunctions(self, "Courier", context=context, kept=kept, messaging=self.messaging)
        self.door = FrontDoorApi(
            self,
            "Door",
            context=context,
            kept=kept,
            messaging=self.messaging,
            webhooks=None if self.courier is None else self.courier.queue,
        )
