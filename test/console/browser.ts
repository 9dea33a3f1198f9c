import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import chromium, { inflate } from "@sparticuz/chromium";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const TOOLS = join(import.meta.dirname, "../../.local/tools/chromium");

/** How to start the browser: CHROMIUM=…, else one on the PATH, else the one that comes from npm, with its libraries. */
export async function browser(): Promise<{ executablePath: string; env?: Record<string, string> }> {
  const folders = (process.env.PATH ?? "").split(":");
  const found = process.env.CHROMIUM ?? NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
  if (found) return { executablePath: found };
  mkdirSync(TOOLS, { recursive: true });
  const before = process.env.TMPDIR;
  process.env.TMPDIR = TOOLS; // where the package unpacks itself
  const executablePath = await chromium.executablePath();
  const packed = join(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")), "../bin/al2023.tar.br");
  const libraries = join(await inflate(packed), "lib");
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  // The package's own file looks for its fonts in /tmp and /opt; without any font, Chromium ends.
  const fonts = join(TOOLS, "fonts.conf");
  writeFileSync(fonts, `<fontconfig><dir>${join(TOOLS, "fonts")}</dir><cachedir>${join(TOOLS, "fonts-cache")}</cachedir></fontconfig>`);
  return { executablePath, env: { ...(process.env as Record<string, string>), LD_LIBRARY_PATH: libraries, FONTCONFIG_FILE: fonts } };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
