"""A rig: a deployed runtime with its pods, its tasks and its notices."""

import contextlib
import json
import signal
import threading
import time
import uuid

from configuration.routing import subscription_filter
from contract.objects import TENANT_METADATA, tenant_label
from contract.queues import DEAD, RETURNED, Priority
from local.api_key import API_KEY_ID
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from test.kit.aws import FakeAws
from test.kit.jobs import JobsTable
from test.kit.pods import Pod
from test.kit.processes import PATIENCE_S, ChildProcess, wait_for
from test.kit.proxy import Network
from test.kit.tasks import INPUT_PNG, TASKTYPES, content_of, linking_content

VISIBILITY_S = 90
"""As deployed, so that no lease ends early on a slow machine."""
SHORT_VISIBILITY_S = 6
"""For tests that wait for the message or the lease of a dead agent."""
_SILENT = ('"dropped: ', '"the lease was not released: ', '"found done; ')


class Kit:
    """Shared by a whole test run: AWS, the event loop of the proxies, a folder for logs, and the random seed."""

    def __init__(self, folder, seed=0):
        self.folder = folder
        self.seed = seed
        self.starting = threading.Semaphore(3)
        """Limits how many model servers start at once: with more, agents would get no time to renew their leases."""
        self._making = threading.Lock()  # moto fails if two threads create a topic at once
        self._stack = contextlib.ExitStack()
        self.network = self._stack.enter_context(contextlib.closing(Network()))
        self.aws = self._stack.enter_context(contextlib.closing(FakeAws(folder)))

    @contextlib.contextmanager
    def rig(self, runtime_type, **options):
        """Create a rig; its processes end with the context."""
        with self._making:
            rig = Rig(self, runtime_type, **options)
        with contextlib.closing(rig):
            yield rig

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()


class ReceivedNotice(dict):
    """A notice, with the ``attributes`` of its SNS message."""


class Rig(JobsTable):
    """A runtime with its own queues, topics, bucket, jobs table and pods."""

    def __init__(self, kit, runtime_type, *, visibility_s=VISIBILITY_S, priorities=False):
        super().__init__(kit.aws.dynamodb, f"{runtime_type}-{uuid.uuid4().hex[:8]}")
        self.type = runtime_type
        self.kit = kit
        self.aws = aws = kit.aws
        self.submitted = {}
        """How many pictures each submitted task must have, by task id."""
        self.received = []
        """All notices so far, in order, with their SNS attributes."""
        self.inputs = set()
        """Keys of objects in the bucket for tasks to read."""
        self.pods = []
        self._children = []
        self.bucket = f"out-{self.name}"
        aws.s3.create_bucket(Bucket=self.bucket)
        deployed = DeployedRuntime(
            name=self.name, type=runtime_type, dynamic_model=runtime_type == "sdwebui", has_priorities=priorities
        )
        dead, returned = f"{self.name}{DEAD.suffix}", f"{self.name}{RETURNED.suffix}"
        self.dead_queue = aws.make_queue(dead)
        self.returned_queue = aws.make_queue(returned, redrive_to=dead)
        self.queues = {
            priority: aws.make_queue(
                f"{self.name}{priority.suffix}", redrive_to=returned, VisibilityTimeout=str(visibility_s)
            )
            for priority in deployed.priorities
        }
        self.queue = self.queues[Priority.NORMAL]
        catalog = RuntimeCatalog([deployed])
        self.catalog_file = kit.folder / f"{self.name}-runtimes.json"
        self.catalog_file.write_text(catalog.to_json(), encoding="utf-8")
        for priority in deployed.priorities:
            routing = json.dumps(subscription_filter(deployed, catalog, priority))
            queue = f"{self.name}{priority.suffix}"
            self.task_topic = aws.make_topic(f"tasks-{self.name}", queue, FilterPolicy=routing)
        self._notices = aws.make_queue(f"notices-{self.name}")
        self.notice_topic = aws.make_topic(f"notices-{self.name}", f"notices-{self.name}")

    # Processes

    def add_pod(self, **options):
        """Add a pod for this runtime, not yet started."""
        self.pods.append(Pod(self, f"{self.name}-{len(self.pods)}", **options))
        return self.pods[-1]

    @property
    def pod(self):
        """The only pod."""
        (pod,) = self.pods
        return pod

    def agent_environment(self, aws_url):
        """The environment of an agent of this runtime, with AWS at ``aws_url``."""
        others = {
            f"SQS_{priority.name}_QUEUE_URL": url.replace(self.aws.url, aws_url)
            for priority, url in self.queues.items()
            if priority is not Priority.NORMAL
        }
        return {
            **others,
            "SQS_QUEUE_URL": self.queue.replace(self.aws.url, aws_url),
            "SQS_DEAD_QUEUE_URL": self.dead_queue.replace(self.aws.url, aws_url),
            "SNS_TOPIC_ARN": self.notice_topic,
            "S3_BUCKET": self.bucket,
            "RUNTIME_TYPE": self.type,
            "RUNTIME_NAME": self.name,
        }

    def add_child(self, *arguments, endpoint=None, **environment):
        """Add a process, not yet started, with the runtime's topics, bucket and table, on AWS or another endpoint."""
        places = {"TASK_TOPIC_ARN": self.task_topic, "NOTICE_TOPIC_ARN": self.notice_topic}
        places |= {"OUTPUT_BUCKET": self.bucket, "JOBS_TABLE": self.store.table}
        log = self.kit.folder / f"{self.name}-{arguments[0]}.log"
        child = ChildProcess(*arguments, log=log, endpoint=endpoint or self.aws.url, **places, **environment)
        self._children.append(child)
        return child

    def clear(self):
        """Delete all items, messages and objects, for another test with the same processes."""
        self.now_s = time.time()
        self.delete_all()
        for queue in (*self.queues.values(), self.returned_queue, self.dead_queue, self._notices):
            self.aws.take(queue)
        for stored in self.aws.s3.list_objects_v2(Bucket=self.bucket).get("Contents", ()):
            self.aws.s3.delete_object(Bucket=self.bucket, Key=stored["Key"])
        for one in (self.submitted, self.received, self.inputs):
            one.clear()

    def close(self):
        for one in (*self.pods, *self._children):
            one.kill()

    # Tasks and notices

    def submit(self, content=None, tasktype=None, *, pictures=1, seed=1, steps=2, **metadata):
        """Send a task to the queue as another producer would; return its id."""
        content = content or content_of(self.type, seed=seed, steps=steps, pictures=pictures)
        task_id = metadata.setdefault("id", f"t-{uuid.uuid4().hex[:8]}")
        self.submitted[task_id] = pictures
        metadata = {"runtime": self.name, "tasktype": tasktype or TASKTYPES[self.type], **metadata}
        self.send(json.dumps({"metadata": metadata, "content": content}), metadata.get("priority", "normal"))
        return task_id

    def submit_with_link(self, number=1, **metadata):
        """Submit a task that draws from a picture in the bucket; return its id."""
        link = self.upload(f"in/{number}.png", INPUT_PNG)
        tasktype = "pipeline" if TASKTYPES[self.type] == "pipeline" else "image-to-image"
        return self.submit(linking_content(self.type, link, seed=number), tasktype, **metadata)

    def send(self, body, priority="normal"):
        """Send a message to the queue of a priority."""
        self.aws.sqs.send_message(QueueUrl=self.queues[Priority(priority)], MessageBody=body)

    def publish(self, body, **attributes):
        """Publish a message to the topic of tasks."""
        given = {"runtime": self.name, **attributes}
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in given.items()}
        self.aws.sns.publish(TopicArn=self.task_topic, Message=body, MessageAttributes=attributes)

    def run(self, content=None, tasktype=None, **metadata):
        """Submit a task and wait for its notice."""
        return self.notice(self.submit(content, tasktype, **metadata))

    def listen(self, wait_s=0):
        """Take new notices, waiting up to ``wait_s`` for the first; return all so far."""
        for message in self.aws.take(self._notices, wait_s):
            envelope = json.loads(message["Body"])
            notice = ReceivedNotice(json.loads(envelope["Message"]))
            notice.attributes = {name: one["Value"] for name, one in envelope["MessageAttributes"].items()}
            self.received.append(notice)
        return self.received

    def notices(self, task_id):
        """A task's notices so far."""
        return [notice for notice in self.received if notice["id"] == task_id]

    def notice(self, task_id):
        """Wait for a task's first notice; its message may still be in the queue."""
        return wait_for(lambda: self.notices(task_id) or (self.listen(1) and self.notices(task_id)), self.describe)[0]

    def wait_until_all_are_notified(self, tasks=None, *, timeout_s=2 * PATIENCE_S):
        """Wait until every task has a notice and the queue is empty."""
        tasks = set(tasks or self.submitted)

        def missing():
            return tasks - {notice["id"] for notice in self.received}

        def all_notified():
            self.listen(wait_s=1 if missing() else 0)
            return not missing() and self.is_empty()

        wait_for(all_notified, lambda: f"notices of {missing()} and an empty queue; {self.describe()}", timeout_s)

    # What is where

    def upload(self, key, data):
        """Store an object in the bucket for tasks to read; return its link."""
        self.inputs.add(key)
        whose = {TENANT_METADATA: tenant_label(API_KEY_ID)}  # tasks that come through the door belong to this key
        self.aws.s3.put_object(Bucket=self.bucket, Key=key, Body=data, Metadata=whose)
        return f"s3://{self.bucket}/{key}"

    def web_link(self, key):
        """A signed HTTP link to an object."""
        return self.aws.s3.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": key})

    def read(self, url):
        """Read an object."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return self.aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def manifest(self, notice):
        """Read the manifest of a notice's task."""
        return json.loads(self.read(notice["output_url"]))

    def depth(self):
        """Messages waiting and in flight, in all queues."""
        waiting, in_flight = zip(*map(self.aws.depth, self.queues.values()), strict=True)
        return sum(waiting), sum(in_flight)

    def is_empty(self):
        return self.depth() == (0, 0)

    def dead_letters(self):
        """Take the dead queue's messages; return their bodies and attributes."""
        return [
            (one["Body"], {name: value["StringValue"] for name, value in one.get("MessageAttributes", {}).items()})
            for one in self.aws.take(self.dead_queue)
        ]

    def silent_claims(self):
        """How many claims may be neither attempt nor release: agents were killed, lost a lease, or found a job done."""
        killed = sum(pod.agent.exits.count(-signal.SIGKILL) for pod in self.pods)
        return killed + sum(pod.log.count(words) for pod in self.pods for words in _SILENT)

    def describe(self):
        """The state of the queue and the ends of all logs, for messages of failed tests."""
        pods = (
            f"--- {pod.name}, under way {[one.name for one in pod.aws.under_way]}\n{pod.log[-3000:]}"
            for pod in self.pods
        )
        return "\n".join([f"queue {self.depth()}", *pods])

    def until(self, condition):
        """Wait for the test's own condition."""
        return wait_for(condition, self.describe)
