"""One runtime under test: its queues, topics and bucket, the pods that serve it, and what it was asked to do."""

import json
import signal
import uuid

from faultkit.pods import Pod
from faultkit.processes import wait_for

from contract.objects import TENANT_METADATA, tenant_label
from jobs.record import JobRecord
from jobs.requests import JobsTable
from jobs.schema import DEFINITION
from local.proxy_event import API_KEY_ID
from local.sandbox import ACCOUNT, REGION

VISIBILITY_S = 6
_SILENT = ('"dropped: ', '"the lease was not given back: ', '"found done; ')
TASKTYPES = {"sdwebui": "text-to-image", "comfyui": "pipeline", "flux": "text-to-image"}


def content_of(runtime_type, *, seed=1, steps=2, pictures=1):
    """A task's content; a server with ``step_s`` takes that long for each step."""
    if runtime_type == "flux":
        drawing = {"num_inference_steps": steps, "num_images": pictures, "width": 128, "height": 64}
        return {"prompt": "p", "seed": seed, **drawing}
    if runtime_type == "sdwebui":
        return {"prompt": "p", "seed": seed, "steps": steps, "width": 64, "height": 64, "batch_size": pictures}
    sampled = {"model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0], "latent_image": ["3", 0], "seed": seed}
    sampler = {"steps": steps, "cfg": 7, "sampler_name": "euler", "scheduler": "normal", "denoise": 1, **sampled}
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "p", "clip": ["1", 1]}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": pictures}},
        "4": {"class_type": "KSampler", "inputs": sampler},
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "x"}},
    }


class Runtime:
    """A runtime with queues, topics, a bucket and, unless told otherwise, a jobs table of its own."""

    def __init__(self, aws, network, folder, runtime_type, *, visibility_s=VISIBILITY_S, table=True):
        self.type = runtime_type
        self.name = f"{runtime_type}-{uuid.uuid4().hex[:8]}"
        self.aws = aws
        self.network = network
        self.folder = folder
        self.asked = {}
        """How many pictures each submitted task is to have, by task id."""
        self.heard = []
        """All notices so far, in order."""
        self.inputs = set()
        """Keys of objects that lie in the bucket for tasks to read."""
        self.pods = []
        self.table = JobsTable(f"jobs-{self.name}") if table else None
        if self.table:
            aws.dynamodb.create_table(TableName=self.table.name, **DEFINITION)
        self.bucket = f"out-{self.name}"
        aws.s3.create_bucket(Bucket=self.bucket)
        self.dead_queue = self._queue("dead")
        redrive = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead-{self.name}", "maxReceiveCount": 100}
        attributes = {"VisibilityTimeout": str(visibility_s), "RedrivePolicy": json.dumps(redrive)}
        self.queue = self._queue("tasks", **attributes)
        self.notice_topic = aws.sns.create_topic(Name=f"notices-{self.name}")["TopicArn"]
        self._notices = self._queue("notices")
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:notices-{self.name}"
        aws.sns.subscribe(TopicArn=self.notice_topic, Protocol="sqs", Endpoint=arn)

    def _queue(self, kind, **attributes):
        return self.aws.sqs.create_queue(QueueName=f"{kind}-{self.name}", Attributes=attributes)["QueueUrl"]

    def pod(self, **options):
        """A pod that serves this runtime; nothing of it runs yet."""
        pod = Pod(self, f"{self.name}-{len(self.pods)}", **options)
        self.pods.append(pod)
        return pod

    def close(self):
        for pod in self.pods:
            pod.close()

    def submit(self, task_id=None, *, content=None, pictures=1, **made):
        """Send one task; returns its id."""
        task_id = task_id or f"t-{uuid.uuid4().hex[:8]}"
        self.asked[task_id] = pictures
        metadata = {"id": task_id, "runtime": self.name, "tasktype": TASKTYPES[self.type], **made.pop("metadata", {})}
        content = content or content_of(self.type, pictures=pictures, **made)
        self.send(json.dumps({"metadata": metadata, "content": content}))
        return task_id

    def send(self, body):
        self.aws.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def upload(self, key, data):
        """Lay something into the bucket; returns its link."""
        self.inputs.add(key)
        whose = {TENANT_METADATA: tenant_label(API_KEY_ID)}  # tasks that come through the door belong to this key
        self.aws.s3.put_object(Bucket=self.bucket, Key=key, Body=data, Metadata=whose)
        return f"s3://{self.bucket}/{key}"

    def listen(self, wait_s=0):
        """Take the notices that have come since; wait for the first of them."""
        wanted = {"QueueUrl": self._notices, "MaxNumberOfMessages": 10}
        messages = self.aws.sqs.receive_message(**wanted, WaitTimeSeconds=wait_s).get("Messages")
        while messages:
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            self.aws.sqs.delete_message_batch(QueueUrl=self._notices, Entries=entries)
            self.heard += [json.loads(json.loads(one["Body"])["Message"]) for one in messages]
            messages = self.aws.sqs.receive_message(**wanted).get("Messages")
        return self.heard

    def notices(self, task_id):
        return [notice for notice in self.heard if notice["id"] == task_id]

    def record(self, job):
        """A job as the table has it; None where it has not."""
        item = self.aws.dynamodb.get_item(**self.table.get(job)).get("Item")
        return item and JobRecord.from_item(item)

    def silent_claims(self):
        """How many claims may count as nothing in the table: agents were killed, lost a lease, or found a job done."""
        killed = sum(pod.agent.exits.count(-signal.SIGKILL) for pod in self.pods)
        return killed + sum(pod.log.count(words) for pod in self.pods for words in _SILENT)

    def depth(self):
        """Messages waiting and in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.aws.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return tuple(int(attributes[name]) for name in names)

    def dead_letters(self):
        """What lies in the dead queue: bodies and attributes; reading takes it out."""
        letters = []
        wanted = {"QueueUrl": self.dead_queue, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
        while messages := self.aws.sqs.receive_message(**wanted).get("Messages"):
            for one in messages:
                self.aws.sqs.delete_message(QueueUrl=self.dead_queue, ReceiptHandle=one["ReceiptHandle"])
                attributes = one.get("MessageAttributes", {})
                letters.append((one["Body"], {name: value["StringValue"] for name, value in attributes.items()}))
        return letters

    def wait_until_all_are_told(self, timeout_s=60, tasks=None):
        """Wait until every task has a notice and the queue is empty."""
        tasks = set(tasks or self.asked)

        def missing():
            return tasks - {notice["id"] for notice in self.heard}

        def all_told():
            self.listen(wait_s=1 if missing() else 0)
            return not missing() and self.depth() == (0, 0)

        def state():
            return f"all told, queue empty; missing {missing()}, queue {self.depth()}; {self.story()}"

        wait_for(all_told, state, timeout_s, every_s=0.2)

    def wait_until_told(self, task_id, timeout_s=60):
        """Wait until a task has a notice; its message may be there still."""
        wait_for(lambda: self.listen(wait_s=1) and self.notices(task_id), self.story, timeout_s)

    def story(self):
        """How all stands, and the ends of all logs, for messages of failed tests."""
        pods = (
            f"--- {pod.name}, under way {[one.name for one in pod.aws.under_way]}\n{pod.log[-3000:]}"
            for pod in self.pods
        )
        return "\n".join([f"queue {self.depth()}", *pods])
