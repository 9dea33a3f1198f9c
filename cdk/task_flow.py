"""The way of a task outside the cluster: what takes it, carries it, and answers for it when it is lost."""

from constructs import Construct

from cdk.context import Context
from cdk.front_door import FrontDoorApi
from cdk.keeper import KeeperFunctions
from cdk.messaging import Messaging
from cdk.storage import JobStoreTable, PictureBucket


class TaskFlow(Construct):
    """Front door, topics, queues, jobs table, keeper and output bucket: all that needs no cluster.

    Attributes:
        bucket: Where pictures go.
        table: The jobs.
        messaging: Topics and queues.
        keeper: Answers for lost jobs.
        door: The API.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context) -> None:
        super().__init__(scope, construct_id)
        self.bucket = PictureBucket(self, "Output", context=context).bucket
        self.table = JobStoreTable(self, "Jobs", context=context).table
        self.messaging = Messaging(self, "Messaging", context=context)
        self.keeper = KeeperFunctions(
            self, "Keeper", context=context, messaging=self.messaging, table=self.table, bucket=self.bucket
        )
        self.door = FrontDoorApi(
            self, "Door", context=context, table=self.table, tasks=self.messaging.tasks, bucket=self.bucket
        )
