import type { Runtime } from "./api/types";
import { number, table } from "./i18n";
import { startOf } from "./jobs/place";

const TYPES: Record<string, string> = {
  sdwebui: "Stable Diffusion WebUI",
  comfyui: "ComfyUI",
  flux: "FLUX",
  invokeai: "InvokeAI",
  bedrock: "Amazon Bedrock",
  sagemaker: "Amazon SageMaker",
};

/** What kind of model server a runtime has, as people call it. */
export const typeName = (type: string): string => TYPES[type] ?? type;

const text = table(
  {
    many: "more than 1000 queued",
    queued: (n: string) => `${n} queued`,
    empty: "nothing queued",
    noServers: "no server is ready",
  },
  {
    many: "排队超过 1000",
    queued: (n: string) => `排队 ${n}`,
    empty: "没有排队",
    noServers: "没有就绪的服务器",
  },
);

/** How long its queue is, and when a job would start. */
export function queueOf({ queued, ready_servers, eta_s }: Runtime): string {
  const t = text();
  const waiting = queued === null ? t.many : queued ? t.queued(number(queued)) : t.empty;
  const start = ready_servers === 0 ? t.noServers : eta_s === null ? "" : startOf(eta_s);
  return [waiting, start].filter(Boolean).join(" · ");
}

/** Whether jobs wait and no server takes them. */
export const isStuck = ({ queued, ready_servers }: Runtime): boolean => ready_servers === 0 && queued !== 0;

/** Runtimes in their order, but first those whose jobs wait without a server. */
export const stuckFirst = <T extends Runtime>(runtimes: T[]): T[] => [...runtimes].sort((a, b) => Number(isStuck(b)) - Number(isStuck(a)));

/** The class of the dot beside its name: whether its servers take jobs, have no reason to, or are missing. */
export const dotOf = (runtime: Runtime): string => `dot ${isStuck(runtime) ? "bad" : runtime.ready_servers ? "good" : "off"}`;

/** Whether its jobs are workflows of ComfyUI. */
export const takesWorkflows = ({ type }: Runtime): boolean => type === "comfyui";
