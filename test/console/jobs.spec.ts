import { ADMIN_KEY, api, CONSOLE, ended, expect, faults, KEY, made, open, submit, test, URL_, type Job } from "./kit";

test("a wrong key is named, the right one opens the jobs, and neither is kept but for the session", async ({ page, context }) => {
  await page.goto(CONSOLE);
  await page.getByLabel("API key").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByText("does not know this key")).toBeVisible();
  await page.getByLabel("API key").fill(KEY);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  expect(page.url()).not.toContain(KEY);
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie)).not.toContain(KEY);
  expect(await context.cookies()).toEqual([]);
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByLabel("API key")).toBeVisible();
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
});

test("a key that is no longer accepted leads to the sign-in, which says so", async ({ signedIn: page }) => {
  await page.route("**/v1/jobs?*", (route) => route.fulfill({ status: 401, json: { error: { code: "unauthorized", message: "no" } } }));
  await open(page, "jobs");
  await expect(page.getByText("no longer accepts this key")).toBeVisible();
});

test("a new job appears by itself, with its place while it waits and its steps while it runs", async ({ signedIn: page }) => {
  await faults("draw", { hold_at_step: 3 });
  await open(page, "jobs");
  await expect(page.getByRole("button", { name: /^draw/ })).toBeVisible();
  const ids = [];
  // An agent prepares one job while another runs; the others wait.
  for (let number = 0; number < 4; number++) ids.push((await submit({ id: `waits-${number}`, keep: ["preview"] })).job);
  const row = (number: number) => page.getByRole("listitem").filter({ hasText: `waits-${number}` });
  await expect(row(0)).toContainText("Running");
  await expect(row(0)).toContainText(/step \d of 4/);
  await expect(row(3)).toContainText("Queued");
  await expect(row(3)).toContainText(/1 ahead|Next/);
  await expect(page.getByRole("button", { name: /^draw/ })).toContainText(/[23] queued/);
  await faults("draw", { hold_at_step: 0 });
  for (const number of [0, 3]) await expect(row(number)).toContainText("Succeeded");
});

test("the list can be narrowed by state and runtime, and says so where nothing is left", async ({ signedIn: page }) => {
  await made({ id: "of-paint", runtime: "paint" });
  await made({ id: "of-draw" });
  await open(page, "jobs");
  await page.getByRole("button", { name: /^paint/ }).click();
  await expect(page.getByText("of-paint").first()).toBeVisible();
  await expect(page.getByText("of-draw")).toHaveCount(0);
  await page.getByRole("radio", { name: "Cancelled" }).check();
  await expect(page.getByText("No jobs match")).toBeVisible();
  expect(page.url()).toContain("state=cancelled");
  await page.getByRole("link", { name: "Show all jobs" }).click();
  await expect(page.getByText("of-draw").first()).toBeVisible();
});

test("an admin sees the jobs and pictures of all keys, and whose they are, or those of one", async ({ page }) => {
  await page.addInitScript((key) => sessionStorage.setItem("console.key", key), ADMIN_KEY);
  const theirs = await made({ id: "of-a-user" });
  await ended(await submit({ id: "of-the-admin", key: ADMIN_KEY }), ADMIN_KEY);
  await open(page, "jobs");
  await expect(page.getByRole("link", { name: /of-a-user default · draw/ })).toBeVisible();
  await expect(page.getByRole("link", { name: /of-the-admin ops · draw/ })).toBeVisible();
  await page.getByLabel("API key").selectOption("ops");
  await expect(page.getByText("of-a-user")).toHaveCount(0);
  await expect(page.getByText("of-the-admin").first()).toBeVisible();
  await page.getByRole("link", { name: "Gallery" }).click();
  await expect(page.getByText("of-a-user").first()).toBeVisible();
  await page.getByLabel("API key").selectOption("ops");
  await expect(page.getByText("of-a-user")).toHaveCount(0);
  await open(page, "usage");
  const table = page.getByRole("table", { name: "By runtime" });
  const rows = async (tenant: string) => (await api<{ rows: { runtime: string; jobs: number }[] }>("GET", `usage?tenant=${tenant}`, undefined, ADMIN_KEY)).rows;
  const drawn = (found: { runtime: string; jobs: number }[]) => found.find((row) => row.runtime === "draw")!.jobs;
  const [ofUser, ofAdmin] = [drawn(await rows(theirs.tenant)), drawn(await rows("ops"))];
  await expect(table.getByRole("row", { name: new RegExp(`^draw ${ofUser + ofAdmin} `) })).toBeVisible();
  await page.getByLabel("API key").selectOption("ops");
  await expect(table.getByRole("row", { name: new RegExp(`^draw ${ofAdmin} `) })).toBeVisible();
  await open(page, `jobs/${theirs.job}`);
  await expect(page.getByRole("region", { name: "Facts" })).toContainText("API keydefault");
});

test("a job is found by its id, and the jobs of a task by the task's", async ({ signedIn: page }) => {
  const job = await made({ id: "looked-for" });
  await made({ id: "another" });
  await open(page, "jobs");
  await expect(page.getByText("another").first()).toBeVisible();
  await page.keyboard.press("/");
  await page.keyboard.type("looked-for");
  await page.keyboard.press("Enter");
  await expect(page.getByText("another")).toHaveCount(0);
  await expect(page.getByText("looked-for").first()).toBeVisible();
  await page.getByRole("searchbox").fill(job.job);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "looked-for" })).toBeVisible();
});

test("of 10,000 jobs a few dozen are in the page, and their pages are fetched as the reader comes to them", async ({ signedIn: page }) => {
  const total = 10_000;
  const template = await made({ id: "one-of-many" });
  let pages = 0;
  await page.route("**/v1/jobs?*", async (route) => {
    const query = new URL(route.request().url()).searchParams;
    if (query.has("created_after")) return route.fulfill({ json: { jobs: [], next: null } });
    const start = Number(query.get("cursor") ?? 0);
    const limit = Math.min(Number(query.get("limit")), total - start);
    pages++;
    const jobs = Array.from({ length: limit }, (_, offset) => ({ ...template, images: [], job: `job-${start + offset}`, task_id: `many-${start + offset}` }));
    return route.fulfill({ json: { jobs, next: start + limit < total ? String(start + limit) : null } });
  });
  await open(page, "jobs");
  await expect(page.getByText("many-0", { exact: true })).toBeVisible();
  expect(pages).toBe(1);
  const items = page.getByRole("list", { name: "Jobs, newest first" }).getByRole("listitem");
  await items.first().getByRole("link").focus();
  while (!(await page.getByText("many-9999", { exact: true }).isVisible())) {
    await page.keyboard.press("End");
    expect(await items.count()).toBeLessThan(60);
  }
  expect(pages).toBe(100);
  await expect(page.getByText("10,000 in all")).toBeVisible();
  await page.keyboard.press("End");
  await expect(page.getByRole("link", { name: /many-9999/ })).toBeFocused();
  await page.keyboard.press("Home");
  await expect(page.getByRole("link", { name: /many-0\b/ })).toBeFocused();
  await page.keyboard.press("j");
  await expect(page.getByRole("link", { name: /many-1\b/ })).toBeFocused();
});

test("a reader who comes back from a job finds the list where it was", async ({ signedIn: page }) => {
  for (let number = 0; number < 30; number++) await submit({ id: `row-${number}` });
  await made({ id: "newest" });
  await open(page, "jobs");
  await page.getByRole("link", { name: /newest/ }).focus();
  for (let number = 0; number < 20; number++) await page.keyboard.press("ArrowDown");
  const link = page.locator("a.job-row:focus");
  const name = await link.locator("b").innerText();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name, exact: true })).toBeVisible();
  await page.goBack();
  await expect(page.getByText(name, { exact: true })).toBeInViewport();
});

test("while the platform is away the list says so, and goes on when it is back", async ({ signedIn: page }) => {
  await page.route("**/v1/**", (route) => route.abort());
  await open(page, "jobs");
  await expect(page.getByText("The platform does not answer").first()).toBeVisible();
  await page.unroute("**/v1/**");
  await made({ id: "after-the-break" });
  await page.getByRole("button", { name: "Try again" }).last().click();
  await expect(page.getByText("after-the-break").first()).toBeVisible();
});

test("texts of callers and servers are shown as texts, whatever they contain", async ({ signedIn: page }) => {
  const hostile = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
  const job = await made({ id: "hostile", context: { note: hostile, link: "javascript:alert(3)" }, content: { prompt: hostile } });
  const failure = { code: "rejected", message: hostile, hint: hostile };
  const url = "javascript:alert(4)";
  await page.route(`**/v1/jobs/${job.job}`, async (route) => {
    const real = (await (await route.fetch()).json()) as Job & { files: unknown[] };
    await route.fulfill({ json: { ...real, task_id: hostile, state: "failed", error: failure, files: [{ ...real.images[0], url, s3: "s3://b/x", name: hostile }], images: [{ ...real.images[0], url }] } });
  });
  await open(page, `jobs/${job.job}`);
  await expect(page.getByRole("heading", { name: hostile })).toBeVisible();
  await expect(page.getByRole("alert")).toContainText(hostile);
  await expect(page.locator("pre").filter({ hasText: "onerror" })).toHaveCount(2);
  expect(await page.locator('a[href^="javascript"], img[src="x"], main script, img[src^="javascript"]').count()).toBe(0);
});

test("outputs of jobs stay in a sandbox of their own", async () => {
  const job = await made();
  const answer = await fetch(`${job.images[0]!.url}?redirect=false`, { headers: { Accept: "image/png" } });
  expect(answer.headers.get("content-security-policy")).toBe("default-src 'none'; sandbox");
  expect((await fetch(`${URL_}/console`)).headers.get("content-security-policy")).toContain("script-src 'self';");
  expect(await api<{ jobs: Job[] }>("GET", "jobs?limit=1")).toHaveProperty("jobs");
});
