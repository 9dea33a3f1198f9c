import { useEffect, useState } from "preact/hooks";
import { call } from "../api/client";
import { jobEvents, type ServerEvent } from "../api/events";
import { isActive, type Job, type Output, type Progress, type Queue } from "../api/types";

export interface Followed {
  job: Job | undefined;
  error: unknown;
  /** Whether the connection is lost, so that the job may have gone on. */
  isLost: boolean;
  /** Take a state that another request has answered. */
  put: (job: Job) => void;
}

/** A job, kept current by its events until it ends. */
export function useJob(id: string): Followed {
  const [state, setState] = useState<{ id: string; job?: Job; error?: unknown; isLost?: boolean }>({ id });
  useEffect(() => {
    const end = new AbortController();
    const follow = async () => {
      let job = await call<Job>("GET", `jobs/${encodeURIComponent(id)}`, { signal: end.signal });
      setState({ id, job });
      if (!isActive(job)) return;
      for await (const event of jobEvents(job.job, end.signal, (isLost) => setState((before) => ({ ...before, isLost })))) {
        job = after(job, event);
        setState({ id, job });
      }
    };
    follow().catch((error: unknown) => {
      if (!end.signal.aborted) setState((before) => ({ ...before, error }));
    });
    return () => end.abort();
  }, [id]);
  const isOther = state.id !== id;
  return {
    job: isOther ? undefined : state.job,
    error: isOther ? undefined : state.error,
    isLost: !isOther && Boolean(state.isLost),
    put: (job) => setState({ id, job }),
  };
}

/** A job after one of its events. */
function after(job: Job, { id, event, data }: ServerEvent): Job {
  const next = { ...job, version: Number(id) || job.version };
  switch (event) {
    case "end":
      return data as Job;
    case "state":
      return { ...next, ...(data as Pick<Job, "state" | "attempts">), queue: null };
    case "queue":
      return { ...next, queue: data as Queue };
    case "progress":
      return { ...next, queue: null, progress: { ...(data as Progress), preview: job.progress?.preview ?? null } };
    case "preview":
      return { ...next, progress: { fraction: null, step: null, steps: null, stage: null, ...job.progress, preview: (data as { url: string }).url } };
    case "output": {
      const output = data as Output;
      const isImage = (output.content_type ?? "image/").startsWith("image/");
      const list = isImage ? "images" : "files";
      return job[list].some((one) => one.s3 === output.s3) ? next : { ...next, [list]: [...job[list], output] };
    }
    case "log":
      return { ...next, retry_reason: (data as { message: string }).message };
    default:
      return next;
  }
}
