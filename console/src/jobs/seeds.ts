import type { Job, Json, JsonObject } from "../api/types";

/** A place of a seed in a request's content, and the seed; null for one that nobody knows. */
export interface Seed {
  path: string[];
  value: bigint | null;
}

const NAME = /^(noise_)?seed$/;
const MAX_DEPTH = 4;

/** The seeds of a request: its own, or those of a workflow's nodes. A seed of -1 is the one that was drawn for the picture, if there is one. */
export function seedsOf(content: JsonObject, job: Pick<Job, "images">): Seed[] {
  const drawn = job.images[0]?.seed;
  const known = drawn == null ? null : BigInt(drawn);
  const found = [...walk(content, [])].map((seed) => (seed.value === -1n ? { ...seed, value: known } : seed));
  if (found.length || known === null) return found;
  return [{ path: ["seed"], value: known }];
}

function* walk(content: Json, path: string[]): Generator<Seed> {
  if (content === null || typeof content !== "object" || Array.isArray(content) || path.length > MAX_DEPTH) return;
  for (const [key, value] of Object.entries(content)) {
    const isInteger = typeof value === "bigint" || Number.isInteger(value);
    if (NAME.test(key) && isInteger) yield { path: [...path, key], value: BigInt(value as number | bigint) };
    else yield* walk(value, [...path, key]);
  }
}

/** A JSON merge patch that sets seeds to a value. */
export function seedPatch(seeds: Seed[], value: bigint): JsonObject {
  const patch: JsonObject = {};
  for (const { path } of seeds) {
    let inside = patch;
    for (const key of path.slice(0, -1)) inside = (inside[key] ??= {}) as JsonObject;
    inside[path.at(-1)!] = value;
  }
  return patch;
}

/** Apply a merge patch (RFC 7396) of objects alone. */
export function merged(content: JsonObject, patch: JsonObject): JsonObject {
  const result = { ...content };
  for (const [key, value] of Object.entries(patch)) {
    const inside = result[key];
    const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
    result[key] = isObject && inside !== null && typeof inside === "object" && !Array.isArray(inside) ? merged(inside, value) : value;
  }
  return result;
}
