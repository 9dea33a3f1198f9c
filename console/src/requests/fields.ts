import { parse } from "../api/json";
import type { Json, JsonObject } from "../api/types";

export type FieldKind = "prompt" | "text" | "integer" | "number" | "seed" | "flag" | "choice" | "picture" | "pictures" | "json";

/** A field of a request's form. */
export interface FieldSpec {
  name: string;
  kind: FieldKind;
  isRequired: boolean;
  /** Whether it stands in sight; the others are folded. */
  isMain: boolean;
  description: string;
  /** What the model server takes where nothing is given. */
  fallback: Json | undefined;
  choices: Json[];
  /** What may stand there; "" if the schema has no example. */
  example: string;
  min: number | undefined;
  max: number | undefined;
}

/** A JSON schema as far as a form needs it. */
export interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  else?: { required?: string[] };
  enum?: Json[];
  anyOf?: Schema[];
  default?: Json;
  minimum?: number;
  maximum?: number;
  examples?: JsonObject[];
  $ref?: string;
  $defs?: Record<string, Schema>;
}

/** What nearly everybody sets, in the order of the form. */
const MAIN = [
  /^prompt$/,
  /^(negative_)?prompt/,
  /^text/,
  /^(init_)?images?(_url)?$|^mask$/,
  /^width$/,
  /^height$/,
  /^size$|^aspect_ratio$/,
  /^steps$|^num_inference_steps$/,
  /^cfg(_scale)?$|^guidance(_scale)?$/,
  /^denoise$|^denoising_strength$|^strength$/,
  /^sampler_name$/,
  /^scheduler$/,
  /^sd_model_checkpoint$|^checkpoint$|^model$/,
  /^upscaler_1$|^upscaling_resize$/,
  /^(noise_)?seed$/,
  /^num_images$|^batch_size$|^n$/,
];
const FEW = 8;
const SEED = /^(noise_)?seed(_\w+)?$/;
const PICTURE = /(^|_)(image|mask|picture)(_url)?$/;
const PICTURES = /(^|_)(images|pictures)$/;
const PROMPT = /prompt|^text(_[gl])?$/;

/** The fields of a form for a schema: what is required first, then what is usual. None for a schema that has no fields. */
export function fieldsOf(schema: Schema): FieldSpec[] {
  const properties = Object.entries(schema.properties ?? guessed(schema.examples?.[0] ?? {}));
  const required = [...(schema.required ?? []), ...(schema.else?.required ?? [])];
  const fields = properties.map(([name, one]) => fieldOf(name, plain(one, schema), required.includes(name), properties.length <= FEW, schema.examples?.[0]?.[name]));
  return fields.sort((a, b) => order(a) - order(b) || a.name.localeCompare(b.name));
}

function order(field: FieldSpec): number {
  const rank = rankOf(field.name);
  return field.isRequired ? rank : rank + 100;
}

function rankOf(name: string): number {
  const rank = MAIN.findIndex((one) => one.test(name));
  return rank < 0 ? MAIN.length : rank;
}

function fieldOf(name: string, schema: Schema, isRequired: boolean, areFew: boolean, example: Json | undefined): FieldSpec {
  return {
    name,
    kind: kindOf(name, schema),
    isRequired,
    isMain: isRequired || areFew || rankOf(name) < MAIN.length,
    description: schema.description ?? "",
    fallback: schema.default,
    choices: schema.enum ?? [],
    example: typeof example === "string" && !example.includes("://") ? example : "",
    min: schema.minimum,
    max: schema.maximum,
  };
}

function kindOf(name: string, schema: Schema): FieldKind {
  if (schema.enum) return "choice";
  switch (schema.type) {
    case "boolean":
      return "flag";
    case "integer":
      return SEED.test(name) ? "seed" : "integer";
    case "number":
      return "number";
    case "string":
      return PICTURE.test(name) ? "picture" : PROMPT.test(name) ? "prompt" : "text";
    case "array":
      return PICTURES.test(name) ? "pictures" : "json";
    default:
      return "json";
  }
}

/** A property without references, and without the null that a field may have instead of a value. */
function plain(schema: Schema, whole: Schema): Schema {
  const name = schema.$ref?.replace("#/$defs/", "");
  if (name !== undefined) return plain({ ...whole.$defs?.[name], ...schema, $ref: undefined } as Schema, whole);
  const options = schema.anyOf?.filter((one) => one.type !== "null");
  return options?.length === 1 ? plain({ ...schema, ...options[0], anyOf: undefined } as Schema, whole) : schema;
}

/** The properties that an example has, where a schema names none. */
function guessed(example: JsonObject): Record<string, Schema> {
  const types: Record<string, string> = { string: "string", boolean: "boolean", bigint: "integer" };
  const typeOf = (value: Json) => {
    if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
    return Array.isArray(value) ? "array" : (types[typeof value] ?? "object");
  };
  return Object.fromEntries(Object.entries(example).map(([name, value]) => [name, { type: typeOf(value) }]));
}

/** A field's value as its caller types it, or the text itself where it is no such value; undefined for nothing. */
export function read(kind: FieldKind, text: string): Json | undefined {
  const trimmed = text.trim();
  if (kind === "prompt" || kind === "text" || kind === "picture") return text === "" ? undefined : text;
  if (trimmed === "") return undefined;
  if (kind === "json" || kind === "pictures") {
    try {
      return parse(trimmed) as Json;
    } catch {
      return text;
    }
  }
  if (kind !== "number" && /^-?\d+$/.test(trimmed)) {
    const whole = BigInt(trimmed);
    return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole;
  }
  const value = Number(trimmed);
  return kind === "number" && Number.isFinite(value) ? value : text;
}

export type Problem = "required" | "integer" | "number" | "json" | "min" | "max";

/** What is certainly wrong with a value; the API finds the rest. */
export function problemOf(field: FieldSpec, value: Json | undefined): Problem | undefined {
  if (value === undefined) return field.isRequired ? "required" : undefined;
  const { kind, min, max } = field;
  if (kind === "integer" || kind === "seed" || kind === "number") {
    if (typeof value !== "number" && typeof value !== "bigint") return kind === "number" ? "number" : "integer";
    if (min !== undefined && value < min) return "min";
    if (max !== undefined && value > max) return "max";
  }
  return kind === "json" && typeof value === "string" ? "json" : undefined;
}

const MAX_SEED = 2 ** 32 - 1;

/** A random seed that any model takes. */
export function randomSeed(field: FieldSpec): number {
  return Math.floor(Math.random() * (Math.min(field.max ?? MAX_SEED, MAX_SEED) + 1));
}
