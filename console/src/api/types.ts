// What API v1 answers, as docs/api-v1.md describes it. Texts in it come from callers and model servers: show them as text.

export type JobState = "accepted" | "queued" | "running" | "succeeded" | "failed" | "cancelled";
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface Output {
  url: string;
  s3: string;
  expires_at: string;
  content_type: string | null;
  width: number | null;
  height: number | null;
  bytes: number | null;
  seed: number | bigint | null;
  name: string | null;
}

export interface Queue {
  position: number | null;
  eta_s: number | null;
}

export interface Progress {
  fraction: number | null;
  step: number | null;
  steps: number | null;
  stage: string | null;
  preview?: string | null;
}

export interface Job {
  job: string;
  task_id: string;
  runtime: string;
  type: string;
  state: JobState;
  version: number;
  priority: string;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  attempts: number;
  queue: Queue | null;
  progress: Progress | null;
  images: Output[];
  files: Output[];
  manifest: Output | null;
  error: { code: string; message: string; hint: string | null } | null;
  retry_reason: string | null;
  retry_of: string | null;
  cancel_requested: boolean;
  warnings: { pointer: string; detail: string }[];
  timings: { queued_s: number | null; prepare_s: number | null; run_s: number | null; store_s: number | null };
  context: Json;
  tenant: string | null;
}

/** What a key may do, and for an admin all keys. */
export interface OwnKey {
  id: string;
  role: "user" | "admin";
  keys: { id: string; name: string }[];
}

export interface JobPage {
  jobs: Job[];
  next: string | null;
}

export interface JobRequest {
  runtime: string;
  type: string;
  content: JsonObject;
  id?: string;
  prefix?: string;
  context?: Json;
  deadlines?: JsonObject;
  priority?: string;
  keep?: string[];
  webhook?: JsonObject;
}

export interface Runtime {
  name: string;
  type: string;
  task_types: string[];
  priorities: string[];
  queued: number | null;
  running: number;
  ready_servers: number;
  seconds_a_job: number | null;
  eta_s: number | null;
}

export interface RuntimeDetails extends Runtime {
  is_live: boolean;
  models: string[];
  loras: string[];
  vaes: string[];
  samplers: string[];
  schedulers: string[];
  upscalers: string[];
  node_classes: string[] | null;
  sizes: { default: number | null; multiple_of: number | null; max_pixels: number | null } | null;
}

export interface FieldProblem {
  pointer: string;
  detail: string;
  suggestion?: string | null;
}

export const isActive = (job: Job): boolean => job.ended_at === null;

export interface WorkflowInput {
  node: string;
  field: string;
  type: "string" | "integer" | "number" | "boolean" | "image" | null;
  default: Json;
  required: boolean;
}

export interface StoredWorkflow {
  name: string;
  version: string;
  changed_at: string;
  workflow: JsonObject;
  inputs: Record<string, WorkflowInput>;
  description: string;
}

export interface UsageRow {
  day: string | null;
  runtime: string;
  jobs: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  pictures: number;
  gpu_seconds: number;
}

export interface Delivery {
  id: string;
  job: string;
  event: "started" | "progress" | "output" | "completed";
  state: "delivered" | "waiting" | "failed";
  attempts: number;
  status: number | null;
  problem: string | null;
  sent_at: string;
  next_at: string | null;
}
