import { faults, made, open, submit, test } from "./kit";

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
  const shots: [string, string, "light" | "dark"][] = [
    ["jobs", "jobs", "light"],
    ["jobs-dark", "jobs", "dark"],
    ["job", `jobs/${running.job}`, "light"],
    ["failure", `jobs/${failed.job}`, "light"],
    ["gallery", "gallery", "dark"],
    ["compare", `compare/${done[0]!.job}.1/${done[1]!.job}.1`, "light"],
    ["new", "new", "light"],
    ["servers", "servers", "light"],
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
});
