import { useState } from "preact/hooks";
import { call } from "../api/client";
import type { JsonObject, StoredWorkflow } from "../api/types";
import { table } from "../i18n";
import { Button, Field } from "../parts/controls";
import { explained, say } from "../parts/feedback";
import { problemsIn } from "./problems";
import { filled, type Workflow } from "./workflow";

const text = table(
  {
    name: "Save as",
    hint: "Jobs then run it by this name, and send only what changes. A workflow of the same name is replaced.",
    save: "Save",
    saved: (name: string) => `Saved as ${name}`,
    wrong: "Up to 64 letters, digits, hyphens, dots and underscores, beginning with a letter or digit.",
  },
  {
    name: "保存为",
    hint: "之后任务可以按此名称运行它，只需发送更改的内容。同名工作流将被替换。",
    save: "保存",
    saved: (name: string) => `已保存为 ${name}`,
    wrong: "最多 64 个字母、数字、连字符、点和下划线，以字母或数字开头。",
  },
);

/** Stores a workflow, with the form's values as its defaults, under a name. */
export function SaveWorkflow({ workflow, values, onSaved }: { workflow: Workflow; values: JsonObject; onSaved: (name: string) => void }) {
  const [name, setName] = useState(workflow.stored || workflow.title.replace(/\.(json|png)$/i, "").replace(/[^\w.-]+/g, "-"));
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const t = text();
  const save = async () => {
    if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(name)) return setError(t.wrong);
    setBusy(true);
    setError(undefined);
    const inputs = Object.fromEntries(Object.entries(workflow.inputs).map(([key, { node, field, type, required }]) => [key, { node, field, type, required }]));
    try {
      const body = { workflow: filled(workflow, values), inputs, description: workflow.description };
      await call<StoredWorkflow>("PUT", `workflows/${encodeURIComponent(name)}`, { body });
      say(t.saved(name));
      onSaved(name);
    } catch (problem) {
      setError([explained(problem), ...problemsIn(problem).map((one) => `${one.pointer} ${one.detail}`)].join(" "));
    }
    setBusy(false);
  };
  return (
    <Field label={t.name} hint={t.hint} error={error}>
      {(ids) => (
        <div class="save-as">
          <input {...ids} value={name} autocomplete="off" spellcheck={false} onInput={(event) => setName(event.currentTarget.value)} onKeyDown={(event) => event.key === "Enter" && (event.preventDefault(), void save())} />
          <Button busy={isBusy} onClick={() => void save()}>
            {t.save}
          </Button>
        </div>
      )}
    </Field>
  );
}
