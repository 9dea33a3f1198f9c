// What users of OpenAI's client for Node do: generate, edit, follow a stream, and read errors; each prints a line.
import { readFileSync } from "node:fs";
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ baseURL: `${process.env.SD_URL}/openai/v1`, apiKey: process.env.SD_KEY });
const say = (value) => console.log(JSON.stringify(value));
const magic = (base64) => Buffer.from(base64, "base64").subarray(0, 4).toString("hex");
const fox = { model: "gpt-image-1", prompt: "a red fox", size: "64x64" };

const models = [];
for await (const model of client.models.list()) models.push(model.id);
say({ models });
const { data, warnings } = await client.images.generate({ ...fox, quality: "high" });
say({ generated: data.map((one) => magic(one.b64_json)), warnings });
const image = await toFile(readFileSync(process.argv[2]), "in.png", { type: "image/png" });
const edited = await client.images.edit({ ...fox, image: [image] });
say({ edited: edited.data.map((one) => magic(one.b64_json)) });
const events = [];
for await (const event of await client.images.generate({ ...fox, stream: true })) events.push(event.type);
say({ events });
try {
  await client.images.generate({ ...fox, image: "s3://nobody/none.png" });
} catch (error) {
  say({ failed: { status: error.status, code: error.code, message: error.message } });
}
