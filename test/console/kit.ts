import { test as base, expect, type Page } from "@playwright/test";

export const URL_ = process.env.SD_URL!;
export const KEY = process.env.SD_API_KEY!;
export const ADMIN_KEY = process.env.SD_ADMIN_KEY!;
export const CONSOLE = `${URL_}/console`;
const STANDINS = JSON.parse(process.env.STANDINS!) as Record<string, string>;
const ORIGIN = new URL(URL_).origin;

export interface Job {
  job: string;
  state: string;
  ended_at: string | null;
  retry_of: string | null;
  runtime: string;
  tenant: string;
  images: { seed: number; url: string }[];
}

/** Call the API as a program would. */
export async function api<T>(method: string, path: string, body?: unknown, key = KEY): Promise<T> {
  const headers = { "x-api-key": key, "Content-Type": "application/json" };
  const answer = await fetch(`${URL_}/v1/${path}`, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

let count = 0;

/** Submit a job; small, so that its picture is drawn in a moment. */
export async function submit(changes: Record<string, unknown> = {}): Promise<Job> {
  const { content, key, ...others } = changes;
  const body = {
    runtime: "draw",
    type: "text-to-image",
    id: `task-${++count}`,
    content: { prompt: "A lighthouse at dusk", steps: 4, width: 64, height: 64, seed: 7, ...(content as object) },
    ...others,
  };
  return await api<Job>("POST", "jobs", body, key as string | undefined);
}

/** Wait for a job's end. */
export async function ended(job: Job, key = KEY): Promise<Job> {
  let latest = job;
  while (!latest.ended_at) latest = await api<Job>("GET", `jobs/${job.job}?wait=20`, undefined, key);
  return latest;
}

/** Submit a job and wait for its end. */
export async function made(changes: Record<string, unknown> = {}): Promise<Job> {
  return await ended(await submit(changes));
}

/** Set faults of a runtime's stand-in. */
export async function faults(runtime: string, change: Record<string, unknown>): Promise<void> {
  const answer = await fetch(new URL("/_standin/faults", STANDINS[runtime]), { method: "POST", body: JSON.stringify(change) });
  if (!answer.ok) throw new Error(await answer.text());
}

/** A page whose reader has signed in. In each test the page's policy must hold, and nothing may leave for elsewhere. */
export const test = base.extend<{ signedIn: Page }>({
  page: async ({ page }, use) => {
    const wrong: string[] = [];
    page.on("console", (message) => /Content Security Policy|TrustedHTML/i.test(message.text()) && wrong.push(message.text()));
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("dialog", (dialog) => wrong.push(`a dialog: ${dialog.message()}`));
    page.on("request", (request) => {
      const url = request.url();
      if (!/^(blob|data):/.test(url) && new URL(url).origin !== ORIGIN) wrong.push(`a request to ${url}`);
      if (url.includes(KEY)) wrong.push(`the key in ${url}`);
    });
    await use(page);
    expect(wrong).toEqual([]);
  },
  signedIn: async ({ page }, use) => {
    await page.addInitScript((key) => sessionStorage.setItem("console.key", key), KEY);
    await use(page);
    await faults("draw", { hold_at_step: 0 });
  },
});

/** Open a view by its hash. */
export async function open(page: Page, hash: string): Promise<void> {
  await page.goto(`${CONSOLE}#/${hash}`);
}

export { expect };
