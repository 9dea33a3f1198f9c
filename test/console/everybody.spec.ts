import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { CONSOLE, expect, faults, made, open, submit, test, type Job } from "./kit";

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
];

let job: Job;

test.beforeAll(async () => {
  job = await made({ id: "everybodys", context: { a: 1 }, content: { batch_size: 2 } });
});

for (const scheme of ["light", "dark"] as const) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test(`the sign-in meets WCAG AA (${scheme})`, async ({ page }) => {
      await page.goto(CONSOLE);
      await expect(page.getByLabel("API key")).toBeFocused();
      expect(await violations(page)).toEqual([]);
    });

    for (const view of views) {
      test(`${view.name} meets WCAG AA (${scheme})`, async ({ signedIn: page }) => {
        await open(page, view.hash(job));
        await expect(page.getByText(view.text).first()).toBeVisible();
        expect(await violations(page)).toEqual([]);
      });
    }
  });
}

test("a failed and a running job meet WCAG AA", async ({ signedIn: page }) => {
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
    expect(await violations(page)).toEqual([]);
  }
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 360, height: 640 }, hasTouch: true });

  for (const view of views) {
    test(`${view.name} fits into 360 pixels`, async ({ signedIn: page }) => {
      await open(page, view.hash(job));
      await expect(page.getByText(view.text).first()).toBeVisible();
      const wider = await page.evaluate(() => [document.documentElement, document.querySelector("main")!].map((element) => element.scrollWidth - element.clientWidth));
      expect(wider).toEqual([0, 0]);
      for (const link of await page.getByRole("navigation").getByRole("link").all()) await expect(link).toBeInViewport();
    });
  }
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
});
