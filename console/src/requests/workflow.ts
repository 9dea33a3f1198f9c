import { call } from "../api/client";
import { parse } from "../api/json";
import type { Json, JsonObject, WorkflowInput } from "../api/types";
import { fieldsOf, type FieldSpec, type Schema } from "./fields";

/** A ComfyUI workflow with what its callers may set. */
export interface Workflow {
  /** The name it is stored under; "" for one that is not. */
  stored: string;
  /** Where it comes from, for people. */
  title: string;
  description: string;
  graph: JsonObject;
  inputs: Record<string, WorkflowInput>;
  fields: FieldSpec[];
}

/** Why a file cannot become a form. */
export class WorkflowFileError extends Error {
  constructor(readonly reason: "json" | "editor" | "picture") {
    super(reason);
  }
}

/** Read a workflow from a file: JSON, or a picture that ComfyUI has drawn, which contains its workflow. */
export async function readFile(file: File): Promise<JsonObject> {
  let text: string | undefined;
  if (file.type === "image/png" || file.name.endsWith(".png")) {
    text = textOfPng(new Uint8Array(await file.arrayBuffer()), "prompt");
    if (text === undefined) throw new WorkflowFileError("picture");
  } else {
    text = await file.text();
  }
  let graph: unknown;
  try {
    graph = parse(text);
  } catch {
    throw new WorkflowFileError("json");
  }
  if (typeof graph !== "object" || graph === null || Array.isArray(graph)) throw new WorkflowFileError("json");
  if (Array.isArray((graph as JsonObject).nodes)) throw new WorkflowFileError("editor");
  return graph as JsonObject;
}

/** A text chunk of a PNG file by its keyword (PNG 11.3.4.3); undefined if it has none. */
function textOfPng(bytes: Uint8Array, keyword: string): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const latin = new TextDecoder("latin1");
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at);
    const start = at + 8;
    if (latin.decode(bytes.subarray(at + 4, start)) === "tEXt") {
      const [key, ...text] = latin.decode(bytes.subarray(start, start + length)).split("\0");
      if (key === keyword) return text.join("\0");
    }
    at = start + length + 4;
  }
  return undefined;
}

/** Ask the API what a workflow lets its callers set on a runtime; throws ApiError. */
export async function workflowOf(runtime: string, graph: JsonObject, given: { stored?: string; title: string; description?: string; inputs?: Record<string, WorkflowInput> }): Promise<Workflow> {
  const { stored = "", title, description = "", inputs: declared } = given;
  const body = { workflow: graph, ...(declared && { inputs: declared }) };
  const { inputs, inputs_schema } = await call<{ inputs: Record<string, WorkflowInput>; inputs_schema: Schema }>("POST", `runtimes/${encodeURIComponent(runtime)}/workflow-inputs`, { body });
  const names = Object.keys(inputs);
  const fields = fieldsOf(inputs_schema)
    .map((field) => ({ ...field, isMain: true, description: placeOf(graph, inputs[field.name]!), kind: inputs[field.name]!.type === "image" ? ("picture" as const) : field.kind }))
    .sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
  return { stored, title, description, graph, inputs, fields };
}

/** The defaults of a workflow's inputs, which a form begins with. */
export function defaultsOf(workflow: Workflow): JsonObject {
  const given = Object.entries(workflow.inputs).filter(([, input]) => input.default !== null);
  return Object.fromEntries(given.map(([name, input]) => [name, input.default]));
}

/** The nodes of a workflow, which may stand inside its "prompt". */
export function nodesOf(graph: JsonObject): JsonObject {
  const inner = graph.prompt;
  const isWrapped = typeof inner === "object" && inner !== null && !Array.isArray(inner) && !("class_type" in inner);
  return isWrapped ? (inner as JsonObject) : graph;
}

/** A copy of the workflow with the values of a form. */
export function filled(workflow: Workflow, values: JsonObject): JsonObject {
  const graph = structuredClone(workflow.graph);
  const nodes = nodesOf(graph) as Record<string, { inputs: JsonObject }>;
  for (const [name, { node, field }] of Object.entries(workflow.inputs)) {
    const value = values[name];
    if (value !== undefined && nodes[node]) nodes[node].inputs[field] = value;
  }
  return graph;
}

/** The input that a pointer such as content/3/inputs/seed, or content/inputs/seed, is about. */
export function inputAt(workflow: Workflow, parts: string[]): string | undefined {
  const [, ...path] = parts[1] === "prompt" ? parts.slice(1) : parts;
  if (path[0] === "inputs" && path[1] !== undefined && path[1] in workflow.inputs) return path[1];
  const [node, , field] = path;
  return Object.keys(workflow.inputs).find((name) => workflow.inputs[name]!.node === node && workflow.inputs[name]!.field === field);
}

export interface Place {
  node: string;
  className: string;
  /** The node's input; "" for the node itself. */
  field: string;
}

/** The node, and its input, that a pointer such as content/3/inputs/vae_name is about. */
export function placeIn(workflow: Workflow, parts: string[]): Place | undefined {
  const [, node = "", key, field = ""] = parts[1] === "prompt" ? parts.slice(1) : parts;
  const found = nodesOf(workflow.graph)[node] as Node | undefined;
  return found && { node, className: String(found.class_type ?? ""), field: key === "inputs" ? field : "" };
}

/** A copy of a workflow with another value of a node's input. */
export function withInput(workflow: Workflow, { node, field }: Place, value: Json): Workflow {
  const graph = structuredClone(workflow.graph);
  (nodesOf(graph)[node] as { inputs: JsonObject }).inputs[field] = value;
  return { ...workflow, graph };
}

interface Node {
  class_type?: Json;
  _meta?: { title?: Json };
}

/** Where an input stands in its workflow, by the title that its author gave the node. */
function placeOf(graph: JsonObject, { node, field }: WorkflowInput): string {
  const { class_type, _meta } = (nodesOf(graph)[node] ?? {}) as Node;
  return `${String(_meta?.title ?? class_type ?? "")} · ${node}.${field}`;
}
