// Submits a job, waits for its pictures and saves them. Node 20 or later, without packages.
//
//   node examples/submit_and_wait.mjs "A lighthouse at dusk"        beside `make up`, in the checkout
//   SD_URL=https://… SD_API_KEY=… RUNTIME=sdruntime node submit_and_wait.mjs "A lighthouse at dusk"
//
// The last form is for a deployed platform, from anywhere.

import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const WAIT_S = 900; // a first GPU node takes minutes

function platform({ SD_URL, SD_API_KEY, STACK_FILE }) {
  if (SD_URL && SD_API_KEY) return { url: SD_URL, key: SD_API_KEY };
  const file = STACK_FILE ?? fileURLToPath(new URL("../.local/stack.json", import.meta.url));
  if (!existsSync(file)) {
    console.error(`No platform runs here (${file} is not there). Start one: make up`);
    process.exit(1);
  }
  const stack = JSON.parse(readFileSync(file, "utf8"));
  return { url: stack.FrontApiEndpoint, key: stack.ApiKey };
}

const { url, key } = platform(process.env);
const api = `${url.replace(/\/$/, "")}/v1`;

async function call(path, options = {}) {
  const headers = { "x-api-key": key, "Content-Type": "application/json" };
  const answer = await fetch(`${api}${path}`, { headers, ...options });
  if (answer.ok) return answer.json();
  const { detail, errors = [] } = await answer.json();
  throw new Error([detail, ...errors.map((error) => `${error.pointer} ${error.detail}`)].join("\n  "));
}

async function submitAndWait(request) {
  let job = await call("/jobs", { method: "POST", body: JSON.stringify(request) });
  const deadline = Date.now() + WAIT_S * 1000;
  while (!job.ended_at && Date.now() < deadline) job = await call(`/jobs/${job.job}?wait=20`);
  if (!job.ended_at) throw new Error(`the job is ${job.state} after ${WAIT_S} seconds`);
  if (job.error) throw new Error(`${job.error.code}: ${job.error.message}`);
  return job;
}

async function save(image) {
  const file = basename(new URL(image.s3).pathname); // no other job's picture has this name
  await writeFile(file, Buffer.from(await (await fetch(image.url)).arrayBuffer()));
  return file;
}

const prompt = process.argv[2] ?? "A lighthouse at dusk";
const runtime = process.env.RUNTIME ?? "sdruntime";
const content = { prompt, steps: 20, width: 512, height: 512 };
try {
  const { images } = await submitAndWait({ runtime, type: "text-to-image", content });
  for (const image of images) console.log(await save(image));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
