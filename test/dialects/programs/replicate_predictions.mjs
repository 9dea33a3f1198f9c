// What users of Replicate's client for JavaScript do; a line of JSON for each thing.
import Replicate from "replicate";

const { SD_URL, SD_KEY, SD_SPENT_KEY, SD_REFERENCE } = process.env;
const FLUX = "black-forest-labs/flux-schnell";
const SMALL = { width: 64, height: 64 };
const LOST = { image: "data:image/png;base64,AAAA" };
const clientOf = (auth) => new Replicate({ auth, baseUrl: `${SD_URL}/replicate/v1` });
const client = clientOf(SD_KEY);
const say = (values) => console.log(JSON.stringify(values));

async function failure(call) {
  try {
    return { type: null, words: JSON.stringify(await call()) };
  } catch (error) {
    return { type: error.name, status: error.response?.status ?? null, words: error.message };
  }
}

async function head(output) {
  const reader = output.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return Buffer.from(value.subarray(0, 4)).toString("hex");
}

async function picture() {
  const made = await client.run(FLUX, { input: { prompt: "a red cube", ...SMALL, num_outputs: 2 } });
  const source = await made[0].blob();
  say({ types: made.map((one) => one.constructor.name), heads: [Buffer.from(await source.slice(0, 4).arrayBuffer()).toString("hex"), await head(made[1])] });
  const edited = await client.run("sd-on-eks/sdruntime", { input: { prompt: "a blue cube", ...SMALL, image: source } });
  say({ edited: await head(edited[0]) });
  const ofVersion = await client.run(SD_REFERENCE, { input: { prompt: "a hare", ...SMALL }, wait: { mode: "poll" } });
  say({ version: await head(ofVersion[0]) });
}

async function models() {
  const model = await client.models.get(...FLUX.split("/"));
  const { Input, Output } = model.latest_version.openapi_schema.components.schemas;
  say({ model: [model.owner, model.name], inputs: Object.keys(Input.properties), required: Input.required, output: Output.type });
  say({ versions: (await client.models.versions.list(...FLUX.split("/"))).results.map(({ id }) => id) });
  say({ models: (await client.models.list()).results.map(({ owner, name }) => `${owner}/${name}`) });
}

async function streams() {
  for (const [name, asked] of [["stream", SMALL], ["lost_stream", LOST]]) {
    const events = [];
    const ended = await failure(async () => {
      for await (const event of client.stream(FLUX, { input: { prompt: "a fox", ...asked } })) events.push([event.event, event.data.slice(0, 5)]);
    });
    say({ [name]: ended, events });
  }
}

async function errors() {
  say({ failed: await failure(() => client.run(FLUX, { input: { prompt: "a fox", ...LOST } })) });
  say({ unknown: await failure(() => client.run("o/nothing", { input: { prompt: "a" } })) });
  say({ body: await failure(() => client.run(FLUX, { input: { prompt: "" } })) });
  say({ key: await failure(() => clientOf("nobody").run(FLUX, { input: { prompt: "a" } })) });
  say({ budget: await failure(() => clientOf(SD_SPENT_KEY).run(FLUX, { input: { prompt: "a" } })) });
  const made = await client.predictions.create({ model: FLUX, input: { prompt: "a", ...SMALL } });
  const listed = [];
  for await (const page of client.paginate(client.predictions.list)) listed.push(...page.map((one) => one.id));
  await client.wait(made);
  say({ listed: listed.includes(made.id), cancelled: (await client.predictions.cancel(made.id)).status });
}

const works = { picture, models, streams, errors };
for (const name of process.argv[2].split(",")) await works[name]();
