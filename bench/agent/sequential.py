"""The loop that one would write first: ``python -m bench.agent.sequential``.

One task at a time from receive to delete, with boto3 and httpx: what the agent is compared with.
"""

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
from websockets.sync.client import connect

_ATTRIBUTES = {"result": {"DataType": "String", "StringValue": "true"}}
_PATHS = {"text-to-image": "sdapi/v1/txt2img", "image-to-image": "sdapi/v1/img2img"}


@dataclass(frozen=True)
class Clients:
    """AWS and the model server."""

    sqs: Any
    sns: Any
    s3: Any
    server: httpx.Client


def main() -> None:
    """Work until killed."""
    sqs, sns, s3 = (boto3.client(name) for name in ("sqs", "sns", "s3"))
    queue_url, run = os.environ["SQS_QUEUE_URL"], _RUNNERS[os.environ["RUNTIME_TYPE"]]
    with httpx.Client(base_url=os.environ["API_BASE_URL"], timeout=None, trust_env=False) as server:
        clients = Clients(sqs, sns, s3, server)
        while True:
            answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=1, WaitTimeSeconds=20)
            for message in answer.get("Messages", ()):
                task = json.loads(json.loads(message["Body"])["Message"])
                _store(clients, task["metadata"], *run(clients, task))
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def _run_sdwebui(clients: Clients, task: Mapping[str, Any]) -> tuple[list[bytes], Any]:
    body = task["content"]
    body["init_images"] = [_fetch(clients, link) for link in body.get("init_images", ())]
    response = clients.server.post(_PATHS[task["metadata"]["tasktype"]], json=body)
    answer = response.raise_for_status().json()
    return [base64.b64decode(image) for image in answer.pop("images")], json.loads(answer["info"])


def _run_comfyui(clients: Clients, task: Mapping[str, Any]) -> tuple[list[bytes], Any]:
    prompt_id = task["metadata"]["id"]
    address = str(clients.server.base_url.copy_with(scheme="ws")).rstrip("/")
    with connect(f"{address}/ws?clientId={prompt_id}", max_size=None, proxy=None) as socket:
        call = {"prompt": task["content"], "client_id": prompt_id, "prompt_id": prompt_id}
        clients.server.post("prompt", json=call).raise_for_status()
        for event in socket:
            if isinstance(event, str) and json.loads(event)["type"] == "execution_success":
                break
    outputs = clients.server.get(f"history/{prompt_id}").json()[prompt_id]["outputs"]
    files = [file for output in outputs.values() for file in output["images"]]
    return [clients.server.get("view", params=file).content for file in files], outputs


_RUNNERS: Mapping[str, Callable[[Clients, Mapping[str, Any]], tuple[list[bytes], Any]]] = {
    "sdwebui": _run_sdwebui,
    "comfyui": _run_comfyui,
}


def _fetch(clients: Clients, link: str) -> str:
    bucket, _, key = link.removeprefix("s3://").partition("/")
    return base64.b64encode(clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()).decode()


def _store(clients: Clients, metadata: Mapping[str, Any], pictures: list[bytes], answer: Any) -> None:
    bucket, folder = os.environ["OUTPUT_BUCKET"], f"output/{metadata['id']}"
    keys = [f"{folder}/{metadata['id']}-{number}.png" for number in range(1, len(pictures) + 1)]
    for key, data in zip(keys, pictures, strict=True):
        clients.s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType="image/png")
    manifest = json.dumps(answer).encode()
    clients.s3.put_object(Bucket=bucket, Key=f"{folder}/{metadata['id']}.out", Body=manifest)
    notice = {
        "id": metadata["id"],
        "result": True,
        "image_url": [f"s3://{bucket}/{key}" for key in keys],
        "output_url": f"s3://{bucket}/{folder}/{metadata['id']}.out",
        "context": metadata.get("context"),
    }
    clients.sns.publish(
        TopicArn=os.environ["NOTICE_TOPIC_ARN"], Message=json.dumps(notice), MessageAttributes=_ATTRIBUTES
    )


if __name__ == "__main__":
    main()
