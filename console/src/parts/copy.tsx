import { table } from "../i18n";
import { Button } from "./controls";
import { say } from "./feedback";

const text = table({ copy: "Copy", copied: "Copied", failed: "The browser does not let pages copy here" }, { copy: "复制", copied: "已复制", failed: "浏览器不允许在此复制" });

/** A button that copies a text. */
export function CopyButton({ value, label }: { value: () => string; label?: string }) {
  return <Button icon="copy" kind="quiet" label={label ?? text().copy} onClick={() => void copy(value())} />;
}

async function copy(value: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(value);
    say(text().copied);
  } catch {
    say(copyBySelection(value) ? text().copied : text().failed);
  }
}

/** Over http from another machine browsers have no clipboard, only the copying of a selection. */
function copyBySelection(value: string): boolean {
  const area = document.createElement("textarea");
  area.value = value;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
