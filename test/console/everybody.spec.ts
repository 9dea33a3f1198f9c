import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { CONSOLE, expect, faults, made, open, submit, test, type Job } from "./kit";
import { node, WORKFLOW } from "./workflow";

/** What axe has against the page, a line for each rule. */
async function violations(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join("\n")}`);
}

/** The views, each with the text that shows that it is there. */
const views: { name: string; hash: (job: Job) => string; text: string | RegExp }[] = [
  { name: "jobs", hash: () => "jobs", text: "everybodys" },
  { name: "job", hash: (job) => `jobs/${job.job}`, text: "Run again with changes" },
  { name: "gallery", hash: () => "gallery", text: "everybodys" },
  { name: "compare", hash: (job) => `compare/${job.job}.1/${job.job}.2`, text: "Comparison" },
  { name: "new", hash: () => "new", text: "Prompt" },
  { name: "servers", hash: () => "servers", text: "paint" },
  { name: "usage", hash: () => "usage", text: "draw" },
  { name: "webhooks", hash: () => "webhooks", text: "Webhooks" },
];

let job: Job;

test.beforeAll(async () => {
  job = await made({ id: "everybodys", context: { a: 1 }, content: { batch_size: 2 } });
});

/** The page must have nothing against it by axe, in both appearances, and must not be wider than a phone. */
async function suitsEverybody(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    // Colours that fade into each other are neither appearance's.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    expect(await violations(page)).toEqual([]);
  }
  await page.setViewportSize({ width: 360, height: 640 });
  const wider = () =>
    page.evaluate(() => [document.documentElement, document.querySelector("main")!].map((element) => element.scrollWidth - element.clientWidth));
  await expect.poll(wider).toEqual([0, 0]);
}

test("the sign-in meets WCAG AA in light and dark, and fits into 360 pixels", async ({ page }) => {
  await page.goto(CONSOLE);
  await expect(page.getByLabel("API key")).toBeFocused();
  await suitsEverybody(page);
});

for (const view of views) {
  test(`${view.name} meets WCAG AA in light and dark, and fits into 360 pixels`, async ({ signedIn: page }) => {
    await open(page, view.hash(job));
    await expect(page.getByText(view.text).first()).toBeVisible();
    await suitsEverybody(page);
    for (const link of await page.getByRole("navigation").getByRole("link").all()) await expect(link).toBeInViewport();
  });
}

test("so do a failed and a running job", async ({ signedIn: page }) => {
  await faults("draw", { fail_jobs: 1 });
  const failed = await made();
  await faults("draw", { hold_at_step: 3 });
  const running = await submit();
  for (const [one, text] of [
    [failed, "Error code"],
    [running, /Step \d of 4/],
  ] as const) {
    await open(page, `jobs/${one.job}`);
    await expect(page.getByText(text)).toBeVisible();
    await suitsEverybody(page);
  }
});

test("on a phone the name of a job has the line to itself", async ({ signedIn: page }) => {
  await page.setViewportSize({ width: 360, height: 640 });
  await open(page, `jobs/${job.job}`);
  const box = async (name: string) => (await page.getByText(name, { exact: true }).first().boundingBox())!;
  const [title, badge] = [await box("everybodys"), await box("Succeeded")];
  expect(title.width).toBeGreaterThan(150);
  expect(badge.y).toBeGreaterThanOrEqual(title.y + title.height);
});

test("so does a form with mistakes, and one of a workflow that the servers cannot run", async ({ signedIn: page }) => {
  await open(page, "new?runtime=draw");
  await page.getByLabel("Steps", { exact: true }).fill("0");
  await page.getByText(/\d+ more fields/).click();
  await expect(page.getByLabel("Find a field")).toBeVisible();
  await suitsEverybody(page);
  await open(page, "new?runtime=flow");
  const buffer = Buffer.from(JSON.stringify({ ...WORKFLOW, "9": node("Unknown", {}) }));
  await page.locator("input[type=file]").first().setInputFiles({ name: "a.json", mimeType: "application/json", buffer });
  await page.getByRole("button", { name: "Save as …" }).click();
  await expect(page.getByRole("alert")).toContainText("Unknown");
  await suitsEverybody(page);
});

test("language and appearance change at once, and stay", async ({ signedIn: page }) => {
  await open(page, "jobs");
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("menuitemradio", { name: "中文" }).click();
  await expect(page.getByRole("heading", { name: "任务" })).toBeVisible();
  await page.getByRole("button", { name: "设置" }).click();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.reload();
  await expect(page.getByRole("heading", { name: "任务" })).toBeVisible();
  expect(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme])).toEqual(["zh-CN", "dark"]);
});

test("the keyboard alone leads past the menu to a job", async ({ signedIn: page }) => {
  await open(page, "jobs");
  await expect(page.getByText("everybodys").first()).toBeVisible();
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Skip to content");
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
  for (let presses = 0; presses < 20 && !(await page.locator("a.job-row:focus").count()); presses++) await page.keyboard.press("Tab");
  await expect(page.locator("a.job-row:focus")).toHaveCount(1);
  await page.keyboard.press("Enter");
  await expect(page.getByText("Request", { exact: true })).toBeVisible();
  await expect(page.locator("main")).toBeFocused();
  await expect(page).toHaveTitle("Jobs · Console");
});
