"""The obvious loop, for comparison with the agent: ``python -m bench.agent.sequential``.

It does one task at a time from receive to delete, with boto3 and httpx.
"""

import base64
import json
import os
from typing import Any

import boto3
import httpx
from websockets.sync.client import connect

_PATHS = {"text-to-image": "sdapi/v1/txt2img", "image-to-image": "sdapi/v1/img2img"}
_ATTRIBUTES = {"result": {"DataType": "String", "StringValue": "true"}}


def main() -> None:
    """Work until killed."""
    sqs, sns, s3 = (boto3.client(name) for name in ("sqs", "sns", "s3"))
    queue_url, bucket = os.environ["SQS_QUEUE_URL"], os.environ["OUTPUT_BUCKET"]
    with httpx.Client(base_url=os.environ["API_BASE_URL"], timeout=None, trust_env=False) as server:
        while True:
            answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=1, WaitTimeSeconds=20)
            for message in answer.get("Messages", ()):
                task = json.loads(json.loads(message["Body"])["Message"])
                if os.environ["RUNTIME_TYPE"] == "comfyui":
                    pictures, said = _run_comfyui(server, task)
                else:
                    pictures, said = _run_sdwebui(server, task, s3)
                folder = f"output/{task['metadata']['id']}"
                for number, data in enumerate(pictures):
                    s3.put_object(Bucket=bucket, Key=f"{folder}/{number}.png", Body=data, ContentType="image/png")
                s3.put_object(Bucket=bucket, Key=f"{folder}/task.out", Body=json.dumps(said).encode())
                notice = {
                    "id": task["metadata"]["id"],
                    "result": True,
                    "image_url": [f"s3://{bucket}/{folder}/{number}.png" for number in range(len(pictures))],
                    "output_url": f"s3://{bucket}/{folder}/task.out",
                    "context": None,
                }
                topic = os.environ["NOTICE_TOPIC_ARN"]
                sns.publish(TopicArn=topic, Message=json.dumps(notice), MessageAttributes=_ATTRIBUTES)
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def _run_sdwebui(server: httpx.Client, task: Any, s3: Any) -> tuple[list[bytes], Any]:
    body = task["content"]
    places = [link.removeprefix("s3://").partition("/") for link in body.get("init_images", ())]
    inputs = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for bucket, _, key in places]
    body["init_images"] = [base64.b64encode(one).decode() for one in inputs]
    answer = server.post(_PATHS[task["metadata"]["tasktype"]], json=body).raise_for_status().json()
    return [base64.b64decode(image) for image in answer.pop("images")], json.loads(answer["info"])


def _run_comfyui(server: httpx.Client, task: Any) -> tuple[list[bytes], Any]:
    prompt_id = task["metadata"]["id"]
    address = str(server.base_url.copy_with(scheme="ws")).rstrip("/")
    with connect(f"{address}/ws?clientId={prompt_id}", max_size=None, proxy=None) as socket:
        call = {"prompt": task["content"], "client_id": prompt_id, "prompt_id": prompt_id}
        server.post("prompt", json=call).raise_for_status()
        for event in socket:
            if isinstance(event, str) and json.loads(event)["type"] == "execution_success":
                break
    outputs = server.get(f"history/{prompt_id}").json()[prompt_id]["outputs"]
    files = [file for output in outputs.values() for file in output["images"]]
    return [server.get("view", params=file).content for file in files], outputs


if __name__ == "__main__":
    main()
