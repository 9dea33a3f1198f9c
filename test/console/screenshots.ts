import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { faults, made, open, submit, test } from "./kit";
import { WORKFLOW } from "./workflow";

/** Pictures of the console for the documentation: SCREENSHOTS=1 python -m test.console. They go to docs/images. */
const folder = "../../docs/images";
const prompts = ["A lighthouse at dusk, watercolour", "A red fox in snow", "An owl on a branch", "A castle above the clouds", "A harbour in fog", "A field of poppies"];

test.use({ viewport: { width: 1200, height: 720 } });

test("the list, a job that runs, one that failed, the gallery and a comparison", async ({ signedIn: page }) => {
  const size = { width: 512, height: 512, steps: 20 };
  const done = [];
  for (const [number, prompt] of [...prompts, ...prompts].entries()) {
    done.push(await made({ id: `${prompt.split(" ").slice(1, 3).join("-").replace(",", "")}-${number + 1}`, runtime: number % 3 ? "draw" : "paint", content: { ...size, prompt, seed: number + 1 } }));
  }
  await faults("draw", { fail_jobs: 1 });
  const failed = await made({ id: "too-large", content: { ...size, prompt: "A city" } });
  await faults("draw", { hold_at_step: 12 });
  const running = await submit({ id: "waterfall", keep: ["preview"], content: { ...size, prompt: "A waterfall", seed: 77 } });
  for (const name of ["bridge", "orchard", "glacier"]) await submit({ id: name, keep: ["preview"], content: { ...size, prompt: name } });
  // The platform has run for a minute; the picture shows a month.
  await page.route("**/v1/usage?*", async (route) => {
    const rows = [];
    for (let ago = 0; ago < 30; ago++) {
      const day = new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
      for (const [number, runtime] of ["draw", "flow", "paint"].entries()) {
        const jobs = Math.round((40 - 10 * number) * (1.3 + Math.sin(ago * 0.9 + number)) * ([0, 6].includes(new Date(day).getUTCDay()) ? 0.3 : 1));
        rows.push({ day, runtime, jobs, succeeded: jobs - (ago % 5 ? 0 : 1), failed: ago % 5 ? 0 : 1, cancelled: 0, pictures: jobs, gpu_seconds: jobs * 6.4 });
      }
    }
    await route.fulfill({ json: { rows, next: null } });
  });
  const shots: [string, string, "light" | "dark"][] = [
    ["jobs", "jobs", "light"],
    ["jobs-dark", "jobs", "dark"],
    ["job", `jobs/${running.job}`, "light"],
    ["failure", `jobs/${failed.job}`, "light"],
    ["gallery", "gallery", "dark"],
    ["compare", `compare/${done[0]!.job}.1/${done[1]!.job}.1`, "light"],
    ["usage", "usage", "light"],
  ];
  for (const [name, hash, colorScheme] of shots) {
    await page.emulateMedia({ colorScheme });
    await open(page, hash);
    // For a picture, not a test: previews and places come with the first rounds of refreshing.
    await page.waitForTimeout(4000);
    await page.screenshot({ path: `${folder}/console-${name}.png` });
  }
  await page.setViewportSize({ width: 360, height: 720 });
  await open(page, "jobs");
  await page.waitForTimeout(4000);
  await page.screenshot({ path: `${folder}/console-phone.png` });
  await faults("draw", { hold_at_step: 0 });
});

test("a new request, a workflow as a form, servers of which one is missing, and webhooks", async ({ signedIn: page }) => {
  const take = (name: string) => page.screenshot({ path: `${folder}/console-${name}.png` });
  await page.emulateMedia({ colorScheme: "light" });
  await open(page, "new?runtime=draw");
  await page.getByLabel("Prompt", { exact: true }).fill("A lighthouse at dusk, watercolour");
  await page.getByLabel("Steps", { exact: true }).fill("20");
  await page.getByLabel("Sampler", { exact: true }).selectOption("Euler a");
  await page.getByRole("button", { name: "Draw a seed" }).click();
  await page.getByRole("radio", { name: "Python" }).check();
  await page.locator("main").evaluate((main) => main.scrollTo(0, 0));
  await take("new");

  const workflow = { ...WORKFLOW, "1": { ...WORKFLOW["1"], inputs: { ckpt_name: "v1-5-pruned.safetensors" } } };
  await open(page, "new?runtime=flow");
  await page.locator("input[type=file]").first().setInputFiles({ name: "fox.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(workflow)) });
  await page.locator("[aria-invalid=true]").waitFor();
  await take("workflow");

  await page.route("**/v1/runtimes", async (route) => {
    const answer = (await (await route.fetch()).json()) as { runtimes: { name: string }[] };
    const runtimes = answer.runtimes.map((one) => (one.name === "flow" ? { ...one, queued: 12, ready_servers: 0, eta_s: null } : one));
    await route.fulfill({ json: { runtimes } });
  });
  await open(page, "servers");
  await page.getByText("What its servers have").nth(1).click();
  await page.getByLabel("Find").waitFor();
  await take("servers");

  let count = 0;
  const receiver = createServer((request, response) => void request.resume().on("end", () => response.writeHead(count++ % 3 ? 200 : 503).end()));
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  for (const name of ["order-4711", "order-4712", "order-4713"]) await made({ id: name, webhook: { url, events: ["started", "completed"] } });
  await page.emulateMedia({ colorScheme: "dark" });
  await open(page, "webhooks");
  await page.getByText("Delivered").nth(3).waitFor();
  await take("webhooks");
  receiver.close();
});
