import type { Job } from "../api/types";

/** An id that a program made: a job's, which its repeats have as their task's, or a digest that a dialect makes of a request. */
const MADE = /^([\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}|[\da-f]{40})$/;

/** Whether a program has made a task's id, as the platform does where the caller names none. */
export const isMade = (taskId: string): boolean => MADE.test(taskId);

/** A job's name for people: its task's id, or the ends of its own where the caller has named none. */
export function nameOf(job: Pick<Job, "job" | "task_id">): string {
  return isMade(job.task_id) ? shortId(job.job) : job.task_id;
}

/** The ends of an id: ids of one minute begin alike. */
export function shortId(job: string): string {
  return job.length > 18 ? `${job.slice(0, 8)}…${job.slice(-6)}` : job;
}

/** The picture to show of a job: its first result, or what is drawn so far. */
export function thumbnailOf(job: Job): string | null {
  return job.images[0]?.url ?? job.progress?.preview ?? null;
}
