import { expect, made, open, test } from "./kit";

test.beforeAll(async () => {
  await made({ id: "older", content: { seed: 1, prompt: "a fox" } });
  await made({ id: "pair", content: { seed: 2, prompt: "an owl", batch_size: 2 } });
});

test("pictures are walked through, opened and closed by keyboard", async ({ signedIn: page }) => {
  await open(page, "gallery");
  const first = page.getByRole("button", { name: "Picture 1 of pair" }).first();
  const second = page.getByRole("button", { name: "Picture 2 of pair" }).first();
  await first.focus();
  await page.keyboard.press("ArrowRight");
  await expect(second).toBeFocused();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("img")).toHaveAttribute("alt", "Picture 2 of pair");
  await page.keyboard.press("ArrowRight");
  await expect(dialog.getByRole("img")).toHaveAttribute("alt", "Picture 1 of older");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await expect(dialog.getByRole("img")).toHaveAttribute("alt", "Picture 1 of pair");
  await expect(dialog.getByText("seed 2")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
  await expect(second).toBeFocused();
});

test("two pictures are compared under a slider that keys move, and beside each other", async ({ signedIn: page }) => {
  await open(page, "gallery");
  await page.getByRole("button", { name: "Picture 1 of pair" }).first().focus();
  await page.keyboard.press("c");
  await expect(page.getByText("One picture chosen")).toBeVisible();
  await page.getByRole("button", { name: "Picture 1 of older" }).first().focus();
  await page.keyboard.press("c");
  await page.getByRole("link", { name: "Compare" }).click();
  const stage = page.locator(".compare-stage");
  await expect(stage.getByRole("img")).toHaveCount(2);
  const slider = page.getByRole("slider");
  const clip = () => stage.getByRole("img").last().evaluate((image) => getComputedStyle(image).clipPath);
  await slider.focus();
  const middle = await clip();
  await page.keyboard.press("ArrowRight");
  await expect(slider).toHaveValue("51");
  expect(await clip()).not.toBe(middle);
  await expect(page.getByRole("row", { name: "content.prompt an owl a fox" })).toBeVisible();
  await page.getByRole("radio", { name: "Side by side" }).check();
  await expect(stage).toHaveCount(2);
});

test("a gallery without pictures says where they come from", async ({ signedIn: page }) => {
  await open(page, "gallery?runtime=flow");
  await expect(page.getByText("No pictures yet")).toBeVisible();
});
