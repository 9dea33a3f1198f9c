import type { Job, Json, JsonObject, JobRequest, Runtime } from "../api/types";
import { write } from "../api/json";
import { session } from "../session";
import { takesWorkflows } from "../runtimes";
import { defaultsOf, filled, workflowOf, type Workflow } from "./workflow";
import { storedWorkflow } from "./workflow-source";

/** A request that is being written. */
export interface Draft {
  type: string;
  /** What the form has: the content, or the values of the workflow's inputs. */
  values: JsonObject;
  workflow: Workflow | undefined;
  /** All of the request but runtime, type and content. */
  options: Partial<JobRequest>;
}

const STORED = "workflow"; // the type of a job that names a workflow

const drafts = new Map<string, Draft>();

// What one key has written, another may not see.
session.follow(() => drafts.clear());

/** The draft for a runtime: as it was left, so that a reader who comes back finds it again. */
export function draftFor(runtime: Runtime): Draft {
  return drafts.get(runtime.name) ?? { type: runtime.task_types[0] ?? "", values: {}, workflow: undefined, options: { keep: ["preview"] } };
}

export function keep(runtime: string, draft: Draft): void {
  drafts.set(runtime, draft);
}

/** The request that a draft stands for. */
export function requestOf(runtime: Runtime, { type, values, workflow, options }: Draft): JobRequest {
  if (!workflow) return { runtime: runtime.name, type, content: values, ...options };
  if (!workflow.stored) return { runtime: runtime.name, type: runtime.task_types[0]!, content: filled(workflow, values), ...options };
  const usual = defaultsOf(workflow);
  const changed = Object.entries(values).filter(([name, value]) => write(value) !== write(usual[name] ?? null));
  return { runtime: runtime.name, type: STORED, content: { workflow: workflow.stored, inputs: Object.fromEntries(changed) }, ...options };
}

/** A draft that stands for a request, such as that of an earlier job; `title` names where a workflow comes from. */
export async function draftOf(runtime: Runtime, request: JobRequest, title: string): Promise<Draft> {
  const { runtime: _, type, content, ...options } = request;
  if (!takesWorkflows(runtime)) return { type, values: content, workflow: undefined, options };
  const isStored = type === STORED;
  const workflow = isStored ? await storedWorkflow(runtime.name, String(content.workflow)) : await workflowOf(runtime.name, content, { title });
  const given = isStored && typeof content.inputs === "object" ? (content.inputs as JsonObject) : {};
  return { type: runtime.task_types[0]!, values: { ...defaultsOf(workflow), ...given }, workflow, options };
}

/** The values of a form after one has changed. */
export function changed(values: JsonObject, name: string, value: Json | undefined): JsonObject {
  const { [name]: _, ...others } = values;
  return value === undefined ? others : { ...others, [name]: value };
}

export type Warning = Job["warnings"][number];
