import { execFile } from "node:child_process";
import { mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Page } from "@playwright/test";
import { api, CONSOLE, ended, expect, faults, KEY, made, open, submit, test, URL_, type Job } from "./kit";

const ran = promisify(execFile);

const idIn = (page: Page) => decodeURIComponent(new URL(page.url()).hash.split("/")[2]!);

/** The job that the page shows once it has left another one. */
async function nextJob(page: Page, before: Job): Promise<Job> {
  await expect.poll(() => idIn(page)).not.toBe(before.job);
  return await api<Job>("GET", `jobs/${idIn(page)}`);
}

test("a running job shows its steps and the unfinished picture, and can be cancelled", async ({ signedIn: page }) => {
  await faults("draw", { hold_at_step: 3 });
  const job = await submit({ keep: ["preview"], content: { steps: 8 } });
  await open(page, `jobs/${job.job}`);
  await expect(page.getByText(/Step \d of 8/)).toBeVisible();
  await expect(page.getByRole("progressbar")).toHaveAttribute("aria-valuenow", /^\d\d$/);
  await expect(page.getByRole("img", { name: "The unfinished picture" })).toBeVisible();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("The job was cancelled")).toBeVisible();
  await expect(page.getByRole("button", { name: "Retry" })).toBeVisible();
});

test("a job's picture appears when it is done, with its seed and where the time went", async ({ signedIn: page }) => {
  await faults("draw", { hold_at_step: 2 });
  const job = await submit();
  await open(page, `jobs/${job.job}`);
  await expect(page.getByRole("progressbar")).toBeVisible();
  await faults("draw", { hold_at_step: 0 });
  await expect(page.getByRole("button", { name: /^Enlarge: Picture 1/ })).toBeVisible();
  await expect(page.getByText("seed 7")).toBeVisible();
  const times = page.getByRole("region", { name: "Time" });
  for (const stage of ["queued", "drawing", "storing"]) await expect(times).toContainText(stage);
});

test("a failed job says why and what to do, and a retry makes another job", async ({ signedIn: page }) => {
  await faults("draw", { fail_jobs: 1 });
  const job = await made();
  await open(page, `jobs/${job.job}`);
  await expect(page.getByRole("alert")).toContainText("a fault in force fails this job");
  await expect(page.getByRole("alert")).toContainText("Try other parameters");
  await page.getByRole("button", { name: "Retry" }).click();
  const again = await ended(await nextJob(page, job));
  expect([again.state, again.retry_of]).toEqual(["succeeded", job.job]);
  await expect(page.getByRole("button", { name: /^Enlarge/ })).toBeVisible();
});

test("a job runs again with the next seed, and the two pictures are a step apart", async ({ signedIn: page }) => {
  const job = await made();
  await open(page, `jobs/${job.job}`);
  await page.getByRole("button", { name: "Seed plus 1" }).click();
  await page.getByRole("button", { name: "Run again" }).click();
  const again = await ended(await nextJob(page, job));
  expect([again.images[0]!.seed, again.retry_of]).toEqual([8, job.job]);
  await page.getByRole("link", { name: "Compare with it" }).click();
  await expect(page.getByRole("heading", { name: "Comparison" })).toBeVisible();
  await expect(page.getByRole("row", { name: "content.seed 7 8" })).toBeVisible();
});

for (const [seed, words] of [
  [undefined, "without a seed"],
  [-1, "with a random seed"],
] as const) {
  test(`a failed job ${words} runs again with one that is drawn`, async ({ signedIn: page }) => {
    await faults("draw", { fail_jobs: 1 });
    const job = await made({ content: { seed } });
    await open(page, `jobs/${job.job}`);
    await expect(page.getByText("Random. Enter one")).toBeVisible();
    await page.getByRole("button", { name: "Seed plus 1" }).click();
    const drawn = Number(await page.getByLabel("Seed", { exact: true }).inputValue());
    await page.getByRole("button", { name: "Seed plus 1" }).click();
    await page.getByRole("button", { name: "Run again" }).click();
    const again = await ended(await nextJob(page, job));
    expect([again.images[0]!.seed, again.retry_of]).toEqual([drawn + 1, job.job]);
  });
}

test("the request is shown as it was sent, without what the platform fills in", async ({ signedIn: page }) => {
  for (const names of [{}, { id: "harbour", prefix: "summer" }]) {
    const job = await made({ id: undefined, ...names });
    await open(page, `jobs/${job.job}`);
    await expect(page.locator("pre")).toContainText("A lighthouse");
    const shown = JSON.parse(await page.locator("pre").innerText()) as Record<string, unknown>;
    const { content: _, runtime, type, ...others } = shown;
    expect([others, runtime, type]).toEqual([names, "draw", "text-to-image"]);
  }
});

test("a job runs again on another runtime", async ({ signedIn: page }) => {
  const job = await made();
  await open(page, `jobs/${job.job}`);
  await page.getByLabel("Runtime", { exact: true }).selectOption("paint");
  await page.getByRole("button", { name: "Seed minus 1" }).click();
  await page.getByRole("button", { name: "Run again" }).click();
  const again = await ended(await nextJob(page, job));
  expect([again.runtime, again.state, again.images[0]!.seed]).toEqual(["paint", "succeeded", 6]);
});

test("a seed of 64 bits is shown and sent as it is", async ({ signedIn: page }) => {
  const job = await made();
  await page.route(`**/v1/jobs/${job.job}/request`, (route) =>
    route.fulfill({ contentType: "application/json", body: `{"runtime": "draw", "type": "text-to-image", "content": {"seed": 18446744073709551614}}` }),
  );
  let sent = "";
  await page.route("**/retry", (route) => {
    sent = route.request().postData() ?? "";
    return route.fulfill({ status: 202, json: job });
  });
  await open(page, `jobs/${job.job}`);
  await expect(page.locator("pre")).toContainText("18446744073709551614");
  await page.getByRole("button", { name: "Seed plus 1" }).click();
  await page.getByRole("button", { name: "Run again" }).click();
  await expect.poll(() => sent).toBe('{"content":{"seed":18446744073709551615}}');
});

test("the request can be copied as a program, which runs as it is and has no key in it", async ({ signedIn: page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const job = await made({ content: { prompt: `It's "quoted", 它 $HOME \\n`, override_settings: { samples_format: "png" } } });
  await open(page, `jobs/${job.job}`);
  const folder = await mkdtemp(join(tmpdir(), "console-"));
  const environment = { ...process.env, SD_URL: URL_, SD_API_KEY: KEY, PYTHONPATH: join(process.cwd(), "../..") };
  const programs = {
    curl: async (text: string) => JSON.parse((await ran("bash", ["-c", text], { env: environment, cwd: folder })).stdout) as Job,
    Python: async (text: string) => (await writeFile(join(folder, "a.py"), text), await ran(process.env.PYTHON!, ["a.py"], { env: environment, cwd: folder })),
    Node: async (text: string) => (await writeFile(join(folder, "a.mjs"), text), await ran(process.execPath, ["a.mjs"], { env: environment, cwd: folder })),
  };
  for (const [name, run] of Object.entries(programs)) {
    await page.getByRole("radio", { name }).check();
    await page.getByRole("button", { name: "Copy all of it" }).click();
    await expect(page.getByText("Copied")).toBeVisible();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    expect(text).not.toContain(KEY);
    await run(text);
  }
  expect(await readdir(folder)).toEqual(expect.arrayContaining(["picture-1.png", "out"]));
  const { jobs } = await api<{ jobs: Job[] }>("GET", "jobs?limit=3");
  for (const made_ of jobs) expect(await api("GET", `jobs/${made_.job}/request`)).toMatchObject({ content: { prompt: `It's "quoted", 它 $HOME \\n` } });
});

test("a broken stream is resumed after the last event", async ({ signedIn: page }) => {
  await faults("draw", { hold_at_step: 3 });
  const job = await submit();
  const resumed: string[] = [];
  await page.route(`**/v1/jobs/${job.job}/events`, async (route) => {
    const last = (await route.request().allHeaders())["last-event-id"];
    if (last !== undefined) {
      resumed.push(last);
      return route.continue();
    }
    const body = `id: 1\nevent: progress\ndata: {"fraction": 0.5, "step": 77, "steps": 99, "stage": null}\n\n`;
    return route.fulfill({ contentType: "text/event-stream", body });
  });
  await open(page, `jobs/${job.job}`);
  await expect.poll(() => resumed).toEqual(["1"]);
  await faults("draw", { hold_at_step: 0 });
  await expect(page.getByText("Succeeded")).toBeVisible();
});

test("a job that is not there is said not to be there", async ({ signedIn: page }) => {
  await open(page, "jobs/01a22d7c-5558-7581-8642-000000000000");
  await expect(page.getByText("There is no such job")).toBeVisible();
  await page.goto(`${CONSOLE}#/nowhere`);
  await expect(page.getByText("There is no such page")).toBeVisible();
});
