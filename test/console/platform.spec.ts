import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { api, expect, faults, made, open, test } from "./kit";

test("each runtime's servers say how busy they are and what they have", async ({ signedIn: page }) => {
  await made({ runtime: "paint" });
  await open(page, "servers");
  const flow = page.getByRole("region", { name: "flow" });
  await expect(flow).toContainText("starts at once");
  await flow.getByText("What its servers have").click();
  await expect(flow.getByText("CheckpointLoaderSimple", { exact: true })).toBeVisible();
  await flow.getByLabel("Find").fill("esrgan");
  await expect(flow.getByText("RealESRGAN_x4plus.pth")).toBeVisible();
  await expect(flow.getByText("CheckpointLoaderSimple")).toHaveCount(0);
  await page.getByRole("region", { name: "paint" }).getByRole("link", { name: "Its jobs" }).click();
  await expect(page.getByText("paint · text-to-image").first()).toBeVisible();
});

test("a runtime whose jobs wait without a server comes first, with what to do", async ({ signedIn: page }) => {
  await page.route("**/v1/runtimes", async (route) => {
    const answer = (await (await route.fetch()).json()) as { runtimes: { name: string }[] };
    const runtimes = answer.runtimes.map((one) => (one.name === "flow" ? { ...one, queued: 3, ready_servers: 0, eta_s: null } : one));
    await route.fulfill({ json: { runtimes } });
  });
  await open(page, "servers");
  await expect(page.getByRole("alert")).toContainText("3 jobs wait, and no server takes them.");
  await expect(page.getByRole("region").first()).toHaveAccessibleName("flow");
});

test("usage is a chart by day and a table with the same numbers, by runtime and measure", async ({ signedIn: page }) => {
  await faults("draw", { fail_jobs: 1 });
  await made();
  await made({ runtime: "paint" });
  const { rows } = await api<{ rows: { runtime: string; jobs: number; pictures: number }[] }>("GET", "usage");
  const jobs = rows.reduce((sum, row) => sum + row.jobs, 0);
  await open(page, "usage?days=7");
  const chart = page.getByRole("slider", { name: "Jobs, 7 days" });
  await expect(chart).toHaveAttribute("aria-valuetext", new RegExp(`: ${jobs} \\(.*paint \\d+`));
  await chart.press("ArrowLeft");
  await expect(chart).toHaveAttribute("aria-valuetext", /: nothing$/);
  await page.getByRole("radio", { name: "Pictures" }).check();
  await page.getByRole("radio", { name: "Table" }).check();
  const table = page.getByRole("table", { name: "Pictures" });
  for (const row of rows.filter((one) => one.pictures)) {
    const column = await table.getByRole("columnheader").allInnerTexts();
    await expect(table.locator("tbody tr").first().locator("th, td").nth(column.indexOf(row.runtime))).toHaveText(String(row.pictures));
  }
  await expect(page.getByRole("table", { name: "By runtime" }).getByRole("row", { name: /^draw/ })).toContainText("1");
});

test.describe("webhooks", () => {
  let receiver: Server;
  let received = 0;
  let status = 500;

  test.beforeAll(async () => {
    receiver = createServer((request, response) => {
      request.resume().on("end", () => (received++, response.writeHead(status).end()));
    });
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  });
  test.afterAll(() => void receiver.close());

  test("deliveries are listed and found by their job, and sent again", async ({ signedIn: page }) => {
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    const job = await made({ webhook: { url } });
    await made({ webhook: { url } });
    await open(page, "webhooks");
    const rows = page.getByRole("listitem");
    await expect(rows).toHaveCount(2);
    await expect(rows.first()).toContainText("The receiver answered 500.");
    await page.getByLabel("Job", { exact: true }).fill(job.job);
    await page.keyboard.press("Enter");
    await expect(rows).toHaveCount(1);
    await expect(rows.getByRole("link")).toHaveAttribute("href", `#/jobs/${job.job}`);
    status = 200;
    const before = received;
    await page.getByRole("button", { name: /^Send again/ }).click();
    await expect(rows).toContainText("Delivered");
    expect(received).toBeGreaterThan(before);
    await page.getByLabel("Job", { exact: true }).fill("nothing");
    await page.keyboard.press("Enter");
    await expect(page.getByText("There is no such job.")).toBeVisible();
  });

  test("the secret is shown on demand alone, and replaced after a question", async ({ signedIn: page }) => {
    await open(page, "webhooks");
    const { secret } = await api<{ secret: string }>("GET", "webhooks/secret");
    await expect(page.getByRole("button", { name: "Show", exact: true })).toBeVisible();
    await expect(page.getByText(/whsec_/)).toHaveCount(0);
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await expect(page.getByText(secret)).toBeVisible();
    await page.getByRole("button", { name: "Rotate" }).click();
    await page.getByRole("button", { name: "Replace it" }).click();
    await expect(page.getByText("also signed with the previous secret")).toBeVisible();
    await expect(page.getByText(secret)).toHaveCount(0);
    await page.getByRole("button", { name: "Hide" }).click();
    await expect(page.getByText(/whsec_/)).toHaveCount(0);
  });
});
