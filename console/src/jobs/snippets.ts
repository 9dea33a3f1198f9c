import { BASE } from "../api/client";
import { write } from "../api/json";
import type { Json, JobRequest } from "../api/types";

/** A request as a program that a reader can paste: none contains the key. */
export type SnippetLanguage = "curl" | "python" | "node";

export const SNIPPETS: Record<SnippetLanguage, (request: JobRequest) => string> = { curl, python, node };

const KEY = 'SD_API_KEY';

function curl(request: JobRequest): string {
  const body = write(request).replaceAll("'", `'\\''`);
  return `curl -sS '${BASE}/v1/jobs' -H "x-api-key: $${KEY}" -H 'Content-Type: application/json' -H 'Prefer: wait=20' \\\n  -d '${body}'`;
}

function python(request: JobRequest): string {
  const values = Object.entries(request).map(([key, value]) => `    ${key}=${literal(value as Json)},`);
  return [
    "# pip install ./clients/python; the key is in SD_API_KEY",
    "from sd_on_eks import Client",
    "",
    `with Client(${JSON.stringify(BASE)}) as sd:`,
    "    job = sd.run(",
    ...values.map((line) => `    ${line}`),
    "    )",
    '    print(sd.save(job, "out"))',
  ].join("\n");
}

function node(request: JobRequest): string {
  return `import { writeFile } from "node:fs/promises";

const headers = { "x-api-key": process.env.${KEY}, "Content-Type": "application/json" };
const request = ${hasBigInt(request) ? `${JSON.stringify(write(request))}; // JSON as text: its integers are too large for numbers` : `JSON.stringify(${write(request)});`}
let job = await (await fetch(${JSON.stringify(`${BASE}/v1/jobs`)}, { method: "POST", headers, body: request })).json();
while (!job.ended_at) job = await (await fetch(\`\${job.links.self}?wait=20\`, { headers })).json();
for (const [number, { url }] of job.images.entries()) {
  await writeFile(\`picture-\${number + 1}.png\`, Buffer.from(await (await fetch(url)).arrayBuffer()));
}`;
}

function hasBigInt(value: unknown): boolean {
  return typeof value === "bigint" || (typeof value === "object" && value !== null && Object.values(value).some(hasBigInt));
}

/** A value as Python writes it. JSON's strings are Python's, too. */
function literal(value: Json): string {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return write(value);
  return `{${Object.entries(value)
    .map(([key, one]) => `${JSON.stringify(key)}: ${literal(one)}`)
    .join(", ")}}`;
}
