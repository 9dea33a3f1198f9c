import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from configuration.config import parse_config
from runtimes.flux.checks import request_errors
from runtimes.registry import RUNTIME_TYPES
from test.unit.configuration.configs import MINIMAL

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NOTICE = {
    "id": "t",
    "result": True,
    "image_url": ["s3://pictures/output/t/t-abcd-1.png"],
    "output_url": "s3://pictures/output/t/t-abcd.out",
    "context": None,
    "job": "job-1",
    "runtime": "sdruntime",
    "status": "succeeded",
}


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def aws_url():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def topic(aws_url, monkeypatch):
    """A fresh topic in an AWS that the environment leads to, and a bucket with one picture."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="pictures")
    s3.put_object(Bucket="pictures", Key="output/t/t-abcd-1.png", Body=b"picture")
    s3.put_object(Bucket="pictures", Key="output/t/t-abcd.out", Body=json.dumps(NOTICE).encode())
    return boto3.client("sns").create_topic(Name="notices")["TopicArn"]


def publish(topic, **changes):
    attributes = {"result": {"DataType": "String", "StringValue": "true"}}
    boto3.client("sns").publish(TopicArn=topic, Message=json.dumps(NOTICE | changes), MessageAttributes=attributes)


def test_the_consumer_saves_the_pictures_of_each_job_once_even_of_a_notice_without_their_list(
    topic, tmp_path, monkeypatch
):
    module = load("consume_notices")
    handled, handle = [], module.handle

    def handle_until_the_last(notice, out):
        handled.append(notice["job"])
        handle(notice, out)
        if notice["job"] == "last":
            raise EOFError

    monkeypatch.setattr(module, "handle", handle_until_the_last)
    url = module.subscribe("saves", topic)
    for job in ("job-1", "job-1", "last"):
        publish(topic, job=job, image_url=[])
    with pytest.raises(EOFError):
        module.consume(url, tmp_path)
    assert handled == ["job-1", "last"]
    assert (tmp_path / "t-abcd-1.png").read_bytes() == b"picture"


def test_the_consumers_filter_keeps_other_notices_away(topic):
    url = load("consume_notices").subscribe("filters", topic, '{"result": ["false"]}')
    publish(topic)
    assert "Messages" not in boto3.client("sqs").receive_message(QueueUrl=url)


def ended(tmp_path, *command):
    """A program's exit code and what it wrote to stderr, where no platform runs."""
    environment = (
        {"HOME": str(tmp_path)}
        | {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        | {"STACK_FILE": str(tmp_path / "stack.json")}
    )
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("program", "arguments"),
    [("consume_notices.py", []), ("submit_and_wait.mjs", ["A dog"])],
)
def test_without_a_platform_each_program_says_how_to_start_one(tmp_path, program, arguments):
    file, is_python = tmp_path / "stack.json", program.endswith(".py")
    options = [f"--stack-file={file}"] if is_python else []
    words = f"No platform runs here ({file} is not there). Start one: make up\n"
    command = [sys.executable if is_python else "node", str(EXAMPLES / program), *options, *arguments]
    assert ended(tmp_path, *command) == (1, words)


def test_without_a_platform_the_python_program_says_how_to_name_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    code, words = ended(tmp_path, sys.executable, str(EXAMPLES / "submit_and_wait.py"), "A dog")
    assert code == 1
    assert words.startswith("No URL and key of the API were found. Set SD_URL and SD_API_KEY")


def test_without_the_client_the_python_program_says_how_to_install_it(tmp_path):
    code, words = ended(tmp_path, sys.executable, "-S", str(EXAMPLES / "submit_and_wait.py"), "A dog")
    assert (code, words) == (1, "sd_on_eks is missing: in the checkout run pip install ./clients/python\n")


@pytest.mark.parametrize("runtime_type", RUNTIME_TYPES)
def test_the_submitter_has_a_task_for_every_type_of_runtime(runtime_type):
    prompt = 'a "quoted" dog'
    needed = {
        "flux": {"model": {"profile": "flux-schnell"}},
        "sdwebui": {"dynamicModel": True},
        "bedrock": {"model": {"id": "stability.sd3-5-large-v1:0", "region": "us-west-2"}},
        "sagemaker": {"model": {"endpoint": "mine"}},
    }
    row = {"name": "mine", "namespace": "a", "type": runtime_type, **needed.get(runtime_type, {})}
    (runtime,) = parse_config({**MINIMAL, "modelsRuntime": [row]}).catalog
    task = load("submit_and_wait").make_request("mine", prompt, runtime_type)
    assert task["type"] in runtime.task_types
    assert json.dumps(prompt) in json.dumps(task["content"])
    if runtime.card is not None:
        assert list(request_errors(task["content"], "text-to-image", runtime.card)) == []
    own = load("submit_and_wait").make_request("mine", prompt, runtime_type, '{"prompt": "PROMPT", "steps": 4}')
    assert own["content"] == {"prompt": prompt, "steps": 4}


def test_the_nodes_of_the_example_workflow_are_told_apart_by_the_titles_that_an_export_has():
    graph = json.loads((EXAMPLES / "workflow.json").read_text())
    titles = {node["_meta"]["title"] for node in graph.values()}
    assert len(titles) == len(graph)
