import { defineConfig } from "@playwright/test";
import { ARGUMENTS, browser } from "./browser";

const PATIENCE_MS = Number(process.env.PATIENCE_MS ?? 60_000);

export default defineConfig({
  testDir: ".",
  testMatch: process.env.SCREENSHOTS ? "screenshots.ts" : "*.spec.ts",
  outputDir: "../../.local/test/console",
  fullyParallel: false,
  workers: 1, // one browser, one platform
  timeout: 2 * PATIENCE_MS, // costs nothing where what is waited for comes
  expect: { timeout: PATIENCE_MS },
  reporter: [["list"], ["junit"]],
  use: {
    actionTimeout: PATIENCE_MS,
    launchOptions: { ...(await browser()), args: ARGUMENTS },
    locale: "en-GB",
    timezoneId: "UTC",
    viewport: { width: 1280, height: 800 },
  },
});
