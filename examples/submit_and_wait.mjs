// Posts a task, waits for its notice and saves its pictures. Node 22 or later, and three packages of AWS:
//
//   npm install --no-save @aws-sdk/client-sns @aws-sdk/client-sqs @aws-sdk/client-s3
//   node examples/submit_and_wait.mjs "A lighthouse at dusk"        beside `make up`
//   API_KEY=… FRONT_API_ENDPOINT=https://… NOTICE_TOPIC_ARN=arn:aws:sns:… RUNTIME=sdruntime node submit_and_wait.mjs "…"
//
// The last form is for a deployed stack: its outputs FrontApiEndpoint and sdNotificationOutputArn, and an sdwebui runtime.

import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const WAIT_S = 900; // a first GPU node takes minutes

function platform(environment) {
  const { FRONT_API_ENDPOINT, NOTICE_TOPIC_ARN, API_KEY } = environment;
  if (FRONT_API_ENDPOINT && NOTICE_TOPIC_ARN && API_KEY)
    return { endpoint: FRONT_API_ENDPOINT, topicArn: NOTICE_TOPIC_ARN, apiKey: API_KEY };
  const file = environment.STACK_FILE ?? fileURLToPath(new URL("../.local/stack.json", import.meta.url));
  if (!existsSync(file)) {
    console.error(`No platform runs here (${file} is not there). Start one: make up`);
    process.exit(1);
  }
  const stack = JSON.parse(readFileSync(file, "utf8"));
  Object.assign(environment, stack.Environment); // leads the AWS SDK to the local platform
  return { endpoint: stack.FrontApiEndpoint, topicArn: stack.sdNotificationOutputArn, apiKey: stack.ApiKey, local: true };
}

async function load(name) {
  try {
    return await import(name);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    const packages = ["sns", "sqs", "s3"].map((service) => `@aws-sdk/client-${service}`).join(" ");
    console.error(`${name} is missing. Install AWS's packages: npm install --no-save ${packages}`);
    process.exit(1);
  }
}

const { endpoint, topicArn, apiKey, local } = platform(process.env);
const { SNSClient, SubscribeCommand, UnsubscribeCommand } = await load("@aws-sdk/client-sns");
const { SQSClient, CreateQueueCommand, DeleteQueueCommand, ReceiveMessageCommand } =
  await load("@aws-sdk/client-sqs");
const { S3Client, GetObjectCommand } = await load("@aws-sdk/client-s3");
const sns = new SNSClient({});
const sqs = new SQSClient({});
const s3 = new S3Client({ forcePathStyle: local });

async function post(task) {
  const answer = await fetch(`${endpoint.replace(/\/$/, "")}/v1alpha2`, {
    method: "POST",
    headers: { "x-api-key": apiKey, "Content-Type": "application/json" },
    body: JSON.stringify({ task }),
  });
  if (!answer.ok) throw new Error(`refused with ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

// Listens first, then posts, so that even the fastest notice is heard.
async function submitAndWait(task) {
  const policy = (arn) => JSON.stringify({
    Version: "2012-10-17",
    Statement: [{
      Effect: "Allow", Principal: { Service: "sns.amazonaws.com" }, Action: "sqs:SendMessage", Resource: arn,
      Condition: { ArnEquals: { "aws:SourceArn": topicArn } },
    }],
  });
  const name = `wait-${randomUUID()}`;
  const [, , , region, account] = topicArn.split(":");
  const arn = topicArn.replace(/:sns:.*/, `:sqs:${region}:${account}:${name}`);
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: { Policy: policy(arn) } }));
  try {
    const { SubscriptionArn } = await sns.send(new SubscribeCommand({ TopicArn: topicArn, Protocol: "sqs", Endpoint: arn }));
    try {
      const { job } = await post(task);
      const deadline = Date.now() + WAIT_S * 1000;
      while (Date.now() < deadline) {
        const { Messages = [] } = await sqs.send(
          new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 10 }),
        );
        const notices = Messages.map((message) => JSON.parse(JSON.parse(message.Body).Message));
        const notice = notices.find((one) => one.job === job);
        if (notice) return notice;
      }
    } finally {
      await sns.send(new UnsubscribeCommand({ SubscriptionArn }));
    }
  } finally {
    await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  }
  throw new Error(`no notice within ${WAIT_S} seconds`);
}

async function save(link) {
  const { host: Bucket, pathname } = new URL(link); // s3://bucket/key
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: decodeURI(pathname.slice(1)) }));
  await writeFile(basename(pathname), await Body.transformToByteArray());
  return basename(pathname);
}

const prompt = process.argv[2] ?? "A lighthouse at dusk";
const metadata = { id: `example-${randomUUID()}`, runtime: process.env.RUNTIME ?? "sdruntime", tasktype: "text-to-image" };
try {
  const notice = await submitAndWait({ metadata, content: { prompt, steps: 20, width: 512, height: 512 } });
  if (!notice.result) throw new Error(`${notice.error.code}: ${notice.error.message}`);
  for (const link of notice.image_url) console.log(await save(link));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
