import { useState } from "preact/hooks";
import type { JsonObject } from "../api/types";
import { table } from "../i18n";
import { Button } from "../parts/controls";
import { Icon } from "../parts/icon";
import { SaveWorkflow } from "./save-workflow";
import { nodesOf, type Workflow } from "./workflow";

const text = table(
  {
    nodes: (n: number) => (n === 1 ? "1 node" : `${n} nodes`),
    stored: "saved",
    other: "Another workflow",
    save: "Save as …",
  },
  {
    nodes: (n: number) => `${n} 个节点`,
    stored: "已保存",
    other: "其他工作流",
    save: "保存为……",
  },
);

/** Which workflow a form is of, and what can be done with it. */
export function WorkflowHead({ workflow, values, onOther, onSaved }: { workflow: Workflow; values: JsonObject; onOther: () => void; onSaved: (name: string) => void }) {
  const [isSaving, setSaving] = useState(false);
  const t = text();
  return (
    <header class="workflow-head">
      <Icon name="workflow" size={20} />
      <div class="workflow-title">
        <h2 class="cut">{workflow.title}</h2>
        <p class="soft small">{[t.nodes(Object.keys(nodesOf(workflow.graph)).length), workflow.stored && t.stored, workflow.description].filter(Boolean).join(" · ")}</p>
      </div>
      <span class="workflow-actions">
        <Button kind="quiet" pressed={isSaving} onClick={() => setSaving(!isSaving)}>
          {t.save}
        </Button>
        <Button kind="quiet" onClick={onOther}>
          {t.other}
        </Button>
      </span>
      {isSaving && <SaveWorkflow workflow={workflow} values={values} onSaved={(name) => (setSaving(false), onSaved(name))} />}
    </header>
  );
}
