import type { Job } from "../api/types";

/** A job's name for people: its task's id, or the ends of its own where the caller has named none. */
export function nameOf(job: Pick<Job, "job" | "task_id">): string {
  return job.task_id === job.job ? shortId(job.job) : job.task_id;
}

/** The ends of an id: ids of one minute begin alike. */
export function shortId(job: string): string {
  return job.length > 18 ? `${job.slice(0, 8)}…${job.slice(-6)}` : job;
}

/** The picture to show of a job: its first result, or what is drawn so far. */
export function thumbnailOf(job: Job): string | null {
  return job.images[0]?.url ?? job.progress?.preview ?? null;
}
