// What users of fal's client for JavaScript do, by both of the ways to another host; a line of JSON for each thing.
import { createFalClient } from "@fal-ai/client";

const { SD_URL, SD_KEY, SD_SPENT_KEY } = process.env;
const FLUX = "fal-ai/flux/schnell";
const SMALL = { image_size: { width: 64, height: 64 } };
const LOST = { image_url: "data:image/png;base64,AAAA" };
const say = (values) => console.log(JSON.stringify(values));

const byProxy = (credentials) =>
  createFalClient({ credentials, proxyUrl: { url: `${SD_URL}/fal/proxy`, when: "always" } });
const byMiddleware = (credentials) =>
  createFalClient({
    credentials,
    requestMiddleware: async (request) => ({
      ...request,
      url: request.url.replace("https://queue.fal.run", `${SD_URL}/fal/queue`).replace("https://fal.run", `${SD_URL}/fal/run`),
    }),
  });

async function failure(call) {
  try {
    return { type: null, words: JSON.stringify(await call()) };
  } catch (error) {
    const { name, message, status, body } = error;
    return { type: name, words: message, status, detail: body?.detail };
  }
}

async function read(url) {
  return Buffer.from(await (await fetch(url)).arrayBuffer());
}

async function everything(make) {
  const fal = make(SD_KEY);
  const words = new Set();
  const onQueueUpdate = ({ status }) => words.add(status);
  const made = await fal.subscribe(FLUX, { input: { prompt: "a red cube", ...SMALL }, logs: true, onQueueUpdate });
  const data = await read(made.data.images[0].url);
  say({ subscribe: data.subarray(0, 4).toString("hex"), id: made.requestId.length, last: [...words].at(-1) });
  const followed = await fal.subscribe(FLUX, { input: { prompt: "a hare", ...SMALL }, mode: "streaming", onQueueUpdate });
  say({ followed: followed.data.images.length, words: [...words].filter((one) => !["IN_QUEUE", "IN_PROGRESS", "COMPLETED"].includes(one)) });
  const image_url = `data:image/png;base64,${data.toString("base64")}`;
  const edited = await fal.run("sd-on-eks/sdruntime/image-to-image", { input: { prompt: "a blue cube", image_url } });
  say({ edited: edited.data.images.length, id: edited.requestId.length });
  const stream = await fal.stream(FLUX, { input: { prompt: "a fox", ...SMALL } });
  for await (const event of stream) void event;
  say({ stream: Object.keys(await stream.done()) });
  const { request_id: requestId } = await fal.queue.submit(FLUX, { input: { prompt: "an owl", ...SMALL }, priority: "low" });
  await fal.queue.subscribeToStatus(FLUX, { requestId });
  say({ ended: await failure(() => fal.queue.cancel(FLUX, { requestId })) });
  say({ failed: await failure(() => fal.subscribe(FLUX, { input: { prompt: "a fox", ...LOST } })) });
  say({ app: await failure(() => fal.subscribe("fal-ai/nothing", { input: { prompt: "a" } })) });
  say({ body: await failure(() => fal.run(FLUX, { input: { prompt: "" } })) });
  say({ key: await failure(() => make("nobody").subscribe(FLUX, { input: { prompt: "a" } })) });
  say({ blob: await failure(() => fal.run(FLUX, { input: { prompt: "a", image_url: new Blob([data]) } })) });
}

async function budget() {
  say({ budget: await failure(() => byProxy(SD_SPENT_KEY).queue.submit(FLUX, { input: { prompt: "a" } })) });
}

async function held() {
  // The model server holds each job at its second step.
  const input = { prompt: "slow", ...SMALL, num_inference_steps: 4 };
  say({ timeout: await failure(() => byProxy(SD_KEY).subscribe("sd-on-eks/comfy", { input, timeout: 1500 })) });
}

async function slow() {
  // A picture that takes longer than the API waits.
  const made = await byMiddleware(SD_KEY).run("sd-on-eks/comfy", { input: { prompt: "slow", ...SMALL } });
  say({ slow: (await read(made.data.images[0].url)).subarray(0, 4).toString("hex") });
}

const works = { proxy: () => everything(byProxy), middleware: () => everything(byMiddleware), budget, held, slow };
for (const name of process.argv[2].split(",")) await works[name]();
