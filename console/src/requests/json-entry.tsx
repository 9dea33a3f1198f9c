import { useRef } from "preact/hooks";
import { parse, write } from "../api/json";
import { table } from "../i18n";
import { sayError } from "../parts/feedback";
import { ApiError } from "../api/client";

const text = table(
  {
    json: "Request as JSON",
    hint: "What is sent to POST /v1/jobs. A JSON file that you drop here, such as a workflow, becomes its content; or",
    choose: "choose a file",
    wrong: "The file contains no JSON object.",
  },
  {
    json: "JSON 格式的请求",
    hint: "发送到 POST /v1/jobs 的内容。拖到此处的 JSON 文件（例如工作流）会成为其 content；或",
    choose: "选择文件",
    wrong: "文件中没有 JSON 对象。",
  },
);

/** A request as text. */
export function JsonEntry({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const file = useRef<HTMLInputElement>(null);
  const t = text();
  const take = async (one: File | undefined) => {
    if (!one) return;
    try {
      const content = parse(await one.text());
      if (typeof content !== "object" || content === null || Array.isArray(content)) throw new SyntaxError();
      onChange(write("runtime" in content && "content" in content ? content : { ...(parse(value) as object), content }, 2));
    } catch {
      sayError(new ApiError(400, "invalid_json", t.wrong));
    }
  };
  return (
    <div class="json-entry">
      <textarea
        class="mono"
        aria-label={t.json}
        rows={22}
        spellcheck={false}
        value={value}
        onInput={(event) => onChange(event.currentTarget.value)}
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          const dropped = event.dataTransfer?.files[0];
          if (!dropped) return; // a text, which the browser inserts
          event.preventDefault();
          void take(dropped);
        }}
      />
      <p class="soft small">
        {t.hint}{" "}
        <button type="button" class="link" onClick={() => file.current?.click()}>
          {t.choose}
        </button>
      </p>
      <input ref={file} type="file" accept=".json,application/json" hidden onChange={(event) => (void take(event.currentTarget.files?.[0]), (event.currentTarget.value = ""))} />
    </div>
  );
}
