import { readFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import { api, ended, expect, made, open, test, type Job } from "./kit";
import { node, WORKFLOW } from "./workflow";

interface Request {
  type: string;
  content: Record<string, unknown>;
  keep: string[];
}

/** Give the page a file as a reader chooses it. */
async function choose(page: Page, name: string, content: unknown): Promise<void> {
  const buffer = Buffer.from(typeof content === "string" ? content : JSON.stringify(content));
  await page.locator("input[type=file]").first().setInputFiles({ name, mimeType: "application/json", buffer });
}

/** Submit what the page has; the job that the page then shows, and its request. */
async function submitted(page: Page): Promise<[Job, Request]> {
  await page.getByRole("button", { name: "Submit" }).click();
  await page.waitForURL(/#\/jobs\//);
  const id = new URL(page.url()).hash.split("/")[2]!;
  return [await ended(await api<Job>("GET", `jobs/${id}`)), await api<Request>("GET", `jobs/${id}/request`)];
}

test("a runtime's schema is a form: mistakes are named at their fields, and the job is made as it was filled in", async ({ signedIn: page }) => {
  await open(page, "new?runtime=paint");
  await page.getByLabel("Prompt", { exact: true }).fill("A harbour at dawn");
  await page.getByLabel("Steps").fill("0");
  await expect(page.getByText("At least 1.")).toBeVisible();
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page.getByLabel("Steps")).toBeFocused();
  await page.getByLabel("Steps").fill("2");
  for (const side of ["Width", "Height"]) await page.getByLabel(side, { exact: true }).fill("90000");
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page.locator("[aria-invalid=true]").first()).toBeFocused(); // what only the API knows
  for (const side of ["Width", "Height"]) await page.getByLabel(side, { exact: true }).fill("64");
  await page.getByLabel("Sampler", { exact: true }).selectOption("Euler a");
  await page.getByRole("button", { name: "Draw a seed" }).click();
  const seed = Number(await page.getByLabel("Seed", { exact: true }).inputValue());
  await page.getByText(/\d+ more fields/).click();
  await page.getByLabel("Find a field").fill("tiling");
  await page.getByLabel("Tiling").selectOption("Yes");
  const [job, request] = await submitted(page);
  expect([job.state, job.runtime, job.images[0]!.seed]).toEqual(["succeeded", "paint", seed]);
  expect(request.content).toEqual({ prompt: "A harbour at dawn", steps: 2, width: 64, height: 64, sampler_name: "Euler a", seed, tiling: true });
  expect(request.keep).toEqual(["preview"]);
});

test("what has no effect is said before the request is submitted", async ({ signedIn: page }) => {
  await open(page, "new?runtime=draw");
  await page.getByRole("radio", { name: "JSON" }).first().check();
  const json = page.getByLabel("Request as JSON");
  await choose(page, "content.json", { prompt: "from a file" });
  await expect(json).toHaveValue(/"runtime": "draw",[^]*"content": {\s*"prompt": "from a file"\s*}/);
  await page.getByRole("radio", { name: "Form" }).check();
  await expect(page.getByLabel("Prompt", { exact: true })).toHaveValue("from a file");
  await page.getByRole("radio", { name: "JSON" }).first().check();
  await json.fill("{");
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page.getByText("This is not JSON.")).toBeVisible();
  await json.fill(JSON.stringify({ runtime: "draw", type: "text-to-image", content: { promt: "x", steps: 1, width: 64, height: 64, seed: 18446744073709551615n.toString() } }).replace(/"(\d{20})"/, "$1"));
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page.getByText("Some of the request has no effect")).toBeVisible();
  await page.getByRole("button", { name: "Submit anyway" }).click();
  await page.waitForURL(/#\/jobs\//);
  await expect(page.locator("pre")).toContainText('"seed": 18446744073709551615');
});

test("a picture is dropped on its field, uploaded, and drawn from", async ({ signedIn: page }) => {
  await open(page, "new?runtime=draw");
  await page.getByRole("radio", { name: "image-to-image" }).check();
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page.getByText("This is required.")).toBeVisible();
  const png = (await readFile("../input.png")).toString("base64");
  const transfer = await page.evaluateHandle((data) => {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], "harbour.png", { type: "image/png" }));
    return transfer;
  }, png);
  await page.locator(".drop").first().dispatchEvent("drop", { dataTransfer: transfer });
  await expect(page.getByRole("button", { name: "Remove harbour.png" })).toBeVisible();
  await page.getByLabel("Steps").fill("1");
  const [job, request] = await submitted(page);
  expect(job.state).toBe("succeeded");
  expect((request.content.init_images as string[])[0]).toMatch(/^s3:\/\//);
});

test("a workflow.json is a form; what the servers lack is named with the nearest, and mended", async ({ signedIn: page }) => {
  await open(page, "new?runtime=flow");
  await choose(page, "other.json", { nodes: [], links: [] });
  await expect(page.getByText("in the format of ComfyUI's editor")).toBeVisible();
  await choose(page, "other.json", { ...WORKFLOW, "5": { ...WORKFLOW["5"], class_type: "KSamplr" } });
  await expect(page.getByRole("alert")).toContainText("Did you mean KSampler?");
  await page.getByRole("button", { name: "Another workflow" }).click();
  await choose(page, "fox.json", { ...WORKFLOW, "1": node("CheckpointLoaderSimple", { ckpt_name: "v1-5-pruned-emaonly.safetensor" }) });
  await expect(page.getByLabel("Checkpoint")).toHaveAttribute("aria-invalid", "true");
  await page.getByRole("alert").getByRole("button", { name: "Use v1-5-pruned-emaonly.safetensors" }).click();
  await page.getByLabel("Prompt", { exact: true }).fill("a red fox");
  await page.getByLabel("Seed", { exact: true }).fill("18446744073709551615");
  const [job, request] = await submitted(page);
  expect([job.state, request.type]).toEqual(["succeeded", "pipeline"]);
  const nodes = request.content as typeof WORKFLOW;
  expect([nodes["1"], nodes["2"].inputs]).toEqual([WORKFLOW["1"], { text: "a red fox", clip: ["1", 1] }]);
  await expect(page.locator("pre")).toContainText("18446744073709551615");
  await open(page, "new?runtime=flow");
  await page.getByRole("button", { name: "Another workflow" }).click();
  const picture = Buffer.from(await (await fetch(job.images[0]!.url)).arrayBuffer());
  await page.locator("input[type=file]").setInputFiles({ name: "drawn.png", mimeType: "image/png", buffer: picture });
  await expect(page.getByLabel("Prompt", { exact: true })).toHaveValue("a red fox"); // ComfyUI's pictures contain their workflow
});

test("a workflow is saved under a name, and run by it with what has changed alone", async ({ signedIn: page }) => {
  await open(page, "new?runtime=flow");
  await choose(page, "my fox.json", WORKFLOW);
  await page.getByLabel("Steps").fill("1");
  await page.getByRole("button", { name: "Save as …" }).click();
  await page.getByLabel("Save as").fill("spaces are wrong");
  await page.keyboard.press("Enter");
  await expect(page.getByText("Up to 64 letters")).toBeVisible();
  await page.getByLabel("Save as").fill("fox");
  await page.keyboard.press("Enter");
  await expect(page.getByText("Saved as fox")).toBeVisible();
  await page.getByRole("button", { name: "Another workflow" }).click();
  await page.getByRole("button", { name: /^fox/ }).click();
  await expect(page.getByLabel("Steps")).toHaveValue("1");
  await page.getByLabel("Negative prompt").fill("dark");
  const [job, request] = await submitted(page);
  expect([job.state, request.type, request.content]).toEqual(["succeeded", "workflow", { workflow: "fox", inputs: { negative_prompt: "dark" } }]);
  await open(page, "new?runtime=flow");
  await page.getByRole("button", { name: "Another workflow" }).click();
  await page.getByRole("button", { name: "Delete: fox" }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(page.getByRole("button", { name: /^fox/ })).toHaveCount(0);
});

test("a job's request is edited as a form and submitted again", async ({ signedIn: page }) => {
  const before = await made({ content: { prompt: "first" } });
  await open(page, `new?from=${before.job}`);
  await expect(page.getByLabel("Prompt", { exact: true })).toHaveValue("first");
  await page.getByLabel("Prompt", { exact: true }).fill("second");
  const [job, request] = await submitted(page);
  expect([job.state, request.content]).toEqual(["succeeded", { prompt: "second", steps: 4, width: 64, height: 64, seed: 7 }]);
});
