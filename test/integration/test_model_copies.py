"""The program that copies models to a node, as a process and against a real server of S3's API."""

import asyncio
import os
import signal
import uuid

import pytest

from test.kit import actions
from test.kit.actions import name_aws_call
from test.kit.processes import ChildProcess, wait_for
from test.kit.proxy import FaultProxy

CHECKPOINT = "sd/model 1.safetensors"
WHOLE = os.urandom(3_000_000)
FILES = {
    f"Stable-diffusion/{CHECKPOINT}": WHOLE,
    "Stable-diffusion/sd/model 1.yaml": b"layers",
    "Stable-diffusion/sd/model 1.vae.safetensors": b"vae",
    "Stable-diffusion/other.ckpt": b"other",
    "Lora/": b"",
    "Lora/style/one.safetensors": b"lora",
    "Lora/empty.txt": b"",
    "VAE/../../escaped": b"out",
    f"embeddings/{'n' * 251}.pt": b"long",
    "Lora/style": b"hidden by the folder",
    "unknown/large.bin": b"nobody's",
}
COPIED = {
    f"Stable-diffusion/{CHECKPOINT}",
    "Stable-diffusion/sd/model 1.yaml",
    "Stable-diffusion/sd/model 1.vae.safetensors",
    "Lora/style/one.safetensors",
    "Lora/empty.txt",
    f"embeddings/{'n' * 251}.pt",
}


class Node:
    """A folder of a node, and a model bucket; S3's answers pass through a proxy."""

    def __init__(self, kit, folder, files, prefix=""):
        self.kit, self.folder, self.prefix = kit, folder / "models", prefix
        self.folder.mkdir()
        self.bucket = f"models-{uuid.uuid4().hex[:8]}"
        self.s3 = kit.aws.s3
        self.s3.create_bucket(Bucket=self.bucket)
        for name, content in files.items():
            self.put(name, content)
        self.aws = FaultProxy(kit.network, kit.aws.url, name_aws_call)

    def put(self, name, content):
        self.s3.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content)

    def start(self, **environment):
        places = {
            "RUNTIME_NAME": "sdruntime",
            "AWS_REGION": "us-east-1",
            "MODELS_BUCKET": self.bucket,
            "MODELS_PREFIX": self.prefix,
            "MODELS_DIR": str(self.folder),
            "MODELS_SIZE": "40Gi",
            "MODEL_FILENAME": CHECKPOINT,
            **environment,
        }
        log = self.folder.parent / f"{uuid.uuid4().hex}.log"
        process = ChildProcess("runtimes.model_copies", log=log, endpoint=self.aws.url, **places)
        process.start()
        return process

    def run(self, **environment):
        """What the program exits with, and what it says."""
        process = self.start(**environment)
        return process.wait(), process.log

    @property
    def reads(self):
        """How many objects have been asked for, in full or in part."""
        return sum(call.name == "s3:GetObject" and call.path.count("/") > 1 for call in self.aws.came)

    @property
    def held(self):
        return {
            str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()
        }


@pytest.fixture
def node(kit, tmp_path):
    node = Node(kit, tmp_path, FILES)
    yield node
    node.aws.close()


def test_the_checkpoint_and_every_file_that_is_no_checkpoint_are_copied(node):
    status, said = node.run()
    assert status == 0, said
    assert node.held == {name: FILES[name] for name in COPIED}
    assert "6 files" in said
    assert not (node.folder.parent / "escaped").exists()


def test_without_a_checkpoint_of_its_own_a_runtime_gets_all_files(node):
    assert node.run(MODEL_FILENAME="")[0] == 0
    assert node.held == {name: FILES[name] for name in {*COPIED, "Stable-diffusion/other.ckpt"}}


def test_a_folder_of_the_bucket_is_copied_as_if_it_were_the_whole(kit, tmp_path):
    node = Node(kit, tmp_path, FILES, prefix="v2/")
    assert node.run()[0] == 0
    assert node.held.keys() == COPIED


def test_s3_is_asked_in_the_region_of_the_bucket(node):
    def signed(exchange):
        scopes.append(exchange.request.headers["Authorization"].split("/")[2])
        return exchange.forward()

    scopes = []
    node.aws.rule("s3:*", signed)
    assert node.run(AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="us-west-2")[0] == 0
    assert set(scopes) == {"eu-west-1"}


def test_an_answer_that_breaks_off_is_asked_for_again_from_there_on(node):
    cut = node.aws.rule("s3:GetObject", actions.half_body(), path=f"*{CHECKPOINT.rpartition(' ')[2]}", times=3)
    status, said = node.run()
    assert (status, cut.hits) == (0, 3), said
    assert node.held[f"Stable-diffusion/{CHECKPOINT}"] == WHOLE


def test_an_object_that_breaks_off_every_time_ends_with_its_name_and_has_none_on_the_disk(node):
    node.aws.rule("s3:GetObject", actions.half_body(), path="*Lora/style*")
    node.put("Lora/style/one.safetensors", WHOLE)
    status, said = node.run()
    assert status == 1
    assert "Lora/style/one.safetensors broke off" in said
    assert "Lora/style/one.safetensors" not in node.held


def test_the_checkpoint_gets_its_name_last_for_a_server_looks_once_for_what_belongs_to_it(node):
    hung = node.aws.rule("s3:GetObject", actions.hang(), path="*yaml")
    process = node.start()
    wait_for(lambda: hung.hits and len(node.held) > 4, lambda: f"copies; log:\n{process.log}")
    assert f"Stable-diffusion/{CHECKPOINT}" not in node.held
    process.kill()


def test_what_came_before_a_failure_is_kept_and_the_object_that_failed_is_named(node):
    async def refuse(exchange):
        # What has not been asked for at a failure is given up.
        await asyncio.to_thread(wait_for, lambda: node.reads == 5, lambda: f"five reads; {node.reads} came")
        return await actions.aws_error(403, "InvalidObjectState")(exchange)

    node.aws.rule("s3:GetObject", refuse, path="*Lora/style*")
    status, said = node.run()
    assert (status, "Lora/style/one.safetensors of bucket" in said, "InvalidObjectState" in said) == (1, True, True)
    node.aws.lift()
    before = node.reads
    assert node.run()[0] == 0
    assert node.reads <= before + 2  # that one, and the checkpoint
    assert node.held.keys() == COPIED


def test_what_is_whole_stays_when_the_container_starts_again_and_a_changed_file_is_copied_again(node):
    assert node.run()[0] == 0
    node.put("Lora/style/one.safetensors", b"another")
    before = node.reads
    assert node.run()[0] == 0
    assert node.reads == before + 1
    assert node.held["Lora/style/one.safetensors"] == b"another"


def test_a_stop_ends_it_at_once_and_leaves_no_file_that_looks_whole(node):
    hung = node.aws.rule("s3:GetObject", actions.hang(), path="*safetensors")
    process = node.start()
    wait_for(lambda: hung.hits, lambda: f"a reader; log:\n{process.log}")
    process.send(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert f"Stable-diffusion/{CHECKPOINT}" not in node.held


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MODEL_FILENAME": "gone.safetensors"}, ["MODEL_FILENAME='gone.safetensors'", "Stable-diffusion"]),
        ({"MODEL_FILENAME": "Other.ckpt"}, ["MODEL_FILENAME='Other.ckpt'"]),
        ({"MODELS_SIZE": "2Mi"}, ["0.0 GB", "persistence.copySize", "persistence.mode to mount"]),
        ({"MODELS_BUCKET": "nobodys-bucket"}, ["nobodys-bucket cannot be copied", "NoSuchBucket"]),
    ],
)
def test_what_cannot_be_copied_is_said_before_anything_is(node, environment, words):
    status, said = node.run(**environment)
    assert status == 1
    assert all(word in said for word in words), said
    assert node.held == {}


def test_a_refusal_is_told_as_s3_tells_it(node):
    node.aws.rule("s3:GetObject", actions.aws_error(403, "AccessDenied"))
    status, said = node.run()
    assert (status, "AccessDenied" in said, "Traceback" in said) == (1, True, False)
