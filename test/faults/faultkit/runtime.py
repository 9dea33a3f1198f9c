"""One runtime under test: its queues, topics and bucket, the pods that serve it, and what it was asked to do."""

import contextlib
import json
import signal
import socket
import threading
import time
import uuid

import httpx
from faultkit.aws import name_call
from faultkit.processes import Child, answers, free_port, wait_for
from faultkit.proxy import FaultProxy

from local.sandbox import ACCOUNT, REGION

VISIBILITY_S = 6
TASKTYPES = {"sdwebui": "text-to-image", "comfyui": "pipeline"}


def content_of(runtime_type, *, seed=1, steps=2, pictures=1):
    """A task's content; a stand-in with ``step_s`` takes that long for each step."""
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
    """A runtime with queues, topics and a bucket of its own."""

    def __init__(self, aws, network, folder, runtime_type, *, visibility_s=VISIBILITY_S):
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
        self._pods = []
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
        pod = Pod(self, f"{self.name}-{len(self._pods)}", **options)
        self._pods.append(pod)
        return pod

    def close(self):
        for pod in self._pods:
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
        self.aws.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
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
        """The ends of all logs, for messages of failed tests."""
        return "\n".join(f"--- {pod.name}\n{pod.log[-3000:]}" for pod in self._pods)


class Pod:
    """A model server and its agent, which reaches AWS, and the server if wanted, through proxies.

    ``server`` is another pod whose model server is used instead of an own one.
    """

    def __init__(
        self, runtime, name, *, server=None, server_options=(), server_proxy=None, round_trip_s=None, **environment
    ):
        self.name = name
        self.aws = FaultProxy(runtime.network, runtime.aws.url, name_call, round_trip_s)
        self._log = runtime.folder / f"{name}.log"
        self._watch = None
        self._health_port = free_port()
        port = free_port()
        self.server_url = f"http://127.0.0.1:{port}"
        arguments = ["--type", runtime.type, "--port", str(port), "--model", "a.safetensors", "--model", "b.ckpt"]
        arguments += map(str, server_options)
        self.server = Child("-m", "runtimes.standin", *arguments, log=self._log, endpoint=self.aws.url)
        if server is not None:
            self.server, self.server_url = server.server, server.server_url
        self._owns_server = server is None
        self.line = server_proxy(runtime.network, self.server_url) if server_proxy else None
        self.agent = Child(
            "-m",
            "queue_agent",
            log=self._log,
            endpoint=self.aws.url,
            **{
                "SQS_QUEUE_URL": f"{self.aws.url}/{ACCOUNT}/tasks-{runtime.name}",
                "SQS_DEAD_QUEUE_URL": f"{self.aws.url}/{ACCOUNT}/dead-{runtime.name}",
                "SNS_TOPIC_ARN": runtime.notice_topic,
                "S3_BUCKET": runtime.bucket,
                "RUNTIME_TYPE": runtime.type,
                "RUNTIME_NAME": runtime.name,
                "API_BASE_URL": self.line.url if self.line else self.server_url,
                "DYNAMIC_SD_MODEL": "true",
                "ALLOW_LOOPBACK_INPUTS": "true",
                "HEALTH_PORT": str(self._health_port),
                **environment,
            },
        )

    def start(self, *, agent=True):
        """Start the model server, then the agent."""
        if not self.server.is_alive:
            self.start_server()
        if agent:
            self.agent.start()
        return self

    def start_server(self):
        self.server.start()
        wait_for(lambda: answers(f"{self.server_url}/_standin/jobs"), lambda: f"the stand-in; log:\n{self.log}")

    def keep_alive(self):
        """Restart agent and server whenever they end, and a server that the agent calls dead, as a kubelet does."""
        self._watch = Kubelet(self.agent, self.server, self._health_port)

    def faults(self, **changes):
        httpx.post(f"{self.server_url}/_standin/faults", json=changes, trust_env=False).raise_for_status()

    @property
    def generations(self):
        """All jobs that the stand-in has begun since it was started."""
        return httpx.get(f"{self.server_url}/_standin/jobs", timeout=5, trust_env=False).json()["jobs"]

    @property
    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def close(self):
        if self._watch is not None:
            self._watch.close()
        self.agent.kill()
        if self._owns_server:
            self.server.kill()
        self.aws.close()
        if self.line is not None:
            self.line.close()


class Kubelet(threading.Thread):
    """Starts processes again when they have ended, and ends a model server whose liveness probe fails."""

    _FAILURES = 3
    _PERIOD_S = 1.0

    def __init__(self, agent, server, health_port):
        super().__init__(name="kubelet", daemon=True)
        self._agent = agent
        self._server = server
        self._address = ("127.0.0.1", health_port)
        self._over = threading.Event()
        self.start()

    def run(self):
        failures, probed_s = 0, time.monotonic()
        while not self._over.wait(0.05):
            for child in (self._agent, self._server):
                if not child.is_alive:
                    child.wait(1)
                    child.start()
            if time.monotonic() - probed_s >= self._PERIOD_S:
                probed_s = time.monotonic()
                failures = failures + 1 if self._says_dead() else 0
            if failures == self._FAILURES:
                failures = 0
                self._server.send(signal.SIGKILL)

    def _says_dead(self):
        with contextlib.suppress(OSError), socket.create_connection(self._address, 1) as line:
            line.settimeout(1)
            line.sendall(b"GET /livez/model HTTP/1.0\r\n\r\n")
            return b" 503 " in line.recv(100)
        return False

    def close(self):
        self._over.set()
        self.join(10)
