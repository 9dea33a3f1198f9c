import { call } from "../api/client";
import { isActive, type Job, type JobPage } from "../api/types";
import { session } from "../session";
import { Store } from "../store";

export interface JobFilter {
  /** Names of states, separated by commas; "" for all. */
  state: string;
  runtime: string;
  task_id: string;
  /** Id of the key whose jobs they are, * for all; "" for the own. */
  tenant: string;
}

interface Loaded {
  jobs: Job[];
  /** Cursor of the next page; null at the end. */
  next: string | null;
  /** Whether the first page has come. */
  isReady: boolean;
  error: unknown;
}

const PAGE = 100;
const MAX_SKIPS = 20;
const NEW_EVERY_MS = 3000;
const REFRESH_EVERY_MS = 250;
/** A refresh of a job shows its place and its progress; the time between two of the same job. */
const REFRESH_AGE_MS = 2000;

/**
 * Jobs, newest first. Pages are loaded on demand; new jobs and the active ones in sight are kept current.
 *
 * An AWS table is read for each request, so that a list which nobody looks at asks for nothing.
 */
export class JobList extends Store<Loaded> {
  /** Where its reader has scrolled to. */
  readonly scroll = { top: 0 };
  private sight: [number, number] = [0, 20];
  private refreshed = new Map<string, number>();
  private loading = false;

  constructor(private readonly filter: JobFilter) {
    super({ jobs: [], next: null, isReady: false, error: undefined });
  }

  /** Load the next page, or the first. */
  async more(): Promise<void> {
    if (this.loading || (this.value.isReady && this.value.next === null)) return;
    this.loading = true;
    try {
      let cursor = this.value.next;
      // With a filter a page may be empty although more follow.
      for (let tries = 0; tries < MAX_SKIPS; tries++) {
        const page = await this.page({ cursor: cursor ?? undefined, limit: PAGE });
        cursor = page.next;
        const known = new Set(this.value.jobs.map((job) => job.job));
        const jobs = [...this.value.jobs, ...page.jobs.filter((job) => !known.has(job.job))];
        this.update({ jobs, next: cursor, isReady: true, error: undefined });
        if (page.jobs.length || cursor === null) break;
      }
    } catch (error) {
      this.update({ error });
    } finally {
      this.loading = false;
    }
  }

  /** Say which rows are in sight. */
  look(first: number, last: number): void {
    this.sight = [first, last];
  }

  /** Keep current until the signal ends. Jobs that have left the filter's states stay until it is called again. */
  async keepCurrent(signal: AbortSignal): Promise<void> {
    const states = this.filter.state.split(",");
    if (this.filter.state) this.update({ jobs: this.value.jobs.filter((job) => states.includes(job.state)) });
    if (!this.value.isReady) await this.more();
    let newAt = 0;
    while (!signal.aborted) {
      if (!document.hidden && this.value.isReady) {
        const now = Date.now();
        if (now - newAt >= NEW_EVERY_MS) {
          newAt = now;
          await this.findNew();
        } else {
          await this.refreshOne(now);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, REFRESH_EVERY_MS));
    }
  }

  /** Take a job's newer state. */
  put(job: Job): void {
    const at = this.value.jobs.findIndex((one) => one.job === job.job);
    const known = this.value.jobs[at];
    if (!known || known.version > job.version) return;
    this.update({ jobs: this.value.jobs.with(at, job) });
  }

  private async findNew(): Promise<void> {
    const newest = this.value.jobs[0];
    try {
      const page = await this.page({ limit: PAGE, created_after: newest?.created_at });
      const known = new Set(this.value.jobs.map((job) => job.job));
      const found = page.jobs.filter((job) => !known.has(job.job));
      // More than a page at once: the list begins again, for it has no other way to what lies between.
      if (page.next !== null && newest && found.length === page.jobs.length) {
        this.update({ jobs: page.jobs, next: page.next, error: undefined });
      } else if (found.length || this.value.error) {
        this.update({ jobs: [...found, ...this.value.jobs], error: undefined });
      }
      for (const job of page.jobs) if (known.has(job.job)) this.put(job);
    } catch (error) {
      this.update({ error });
    }
  }

  private async refreshOne(now: number): Promise<void> {
    const [first, last] = this.sight;
    const due = this.value.jobs
      .slice(first, last + 1)
      .filter((job) => isActive(job) && now - (this.refreshed.get(job.job) ?? 0) >= REFRESH_AGE_MS)
      .sort((a, b) => (this.refreshed.get(a.job) ?? 0) - (this.refreshed.get(b.job) ?? 0));
    const job = due[0];
    if (!job) return;
    this.refreshed.set(job.job, now);
    try {
      this.put(await call<Job>("GET", `jobs/${job.job}`));
    } catch {
      // The next look for new jobs meets the same trouble, and shows it.
    }
  }

  private page(query: Record<string, string | number | undefined>): Promise<JobPage> {
    return call<JobPage>("GET", "jobs", { query: { ...this.filter, ...query } });
  }
}

const lists = new Map<string, JobList>();

/** The list with a filter: the same as before, so that a reader who comes back finds the place again. */
export function jobList(filter: JobFilter): JobList {
  const key = Object.values(filter).join(" ");
  let list = lists.get(key);
  if (!list) lists.set(key, (list = new JobList(filter)));
  return list;
}

// What one key has shown, another may not see.
session.follow(() => lists.clear());
