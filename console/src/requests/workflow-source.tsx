import { useRef, useState } from "preact/hooks";
import { call } from "../api/client";
import type { StoredWorkflow } from "../api/types";
import { table } from "../i18n";
import { useLoad } from "../load";
import { Button } from "../parts/controls";
import { ErrorNote } from "../parts/feedback";
import { Icon } from "../parts/icon";
import { Ago } from "../parts/time";
import { readFile, WorkflowFileError, workflowOf, type Workflow } from "./workflow";

const text = table(
  {
    title: "Workflow",
    drop: "Drop a workflow.json here, or a picture that ComfyUI has drawn; or",
    choose: "choose a file",
    dropHint: "Its prompts, seeds, sizes and pictures become a form. Nothing is stored unless you save it under a name.",
    saved: "Saved workflows",
    busy: "Reading …",
    changed: "changed",
    remove: "Delete",
    sure: (name: string) => `Delete ${name}? Jobs that run it go on.`,
    cancel: "Keep it",
    json: "The file contains no JSON object.",
    picture: "The picture contains no workflow. Only pictures as ComfyUI saved them do.",
    editor: "This is a workflow in the format of ComfyUI's editor. In ComfyUI, choose Workflow → Export (API), in newer versions File → Export Workflow (API), and drop that file here.",
  },
  {
    title: "工作流",
    drop: "将 workflow.json 或 ComfyUI 生成的图片拖到此处，或",
    choose: "选择文件",
    dropHint: "其中的提示词、种子、尺寸和图片会变成表单。除非您命名保存，否则不会存储任何内容。",
    saved: "已保存的工作流",
    busy: "正在读取……",
    changed: "修改于",
    remove: "删除",
    sure: (name: string) => `删除 ${name}？正在运行它的任务不受影响。`,
    cancel: "保留",
    json: "文件中没有 JSON 对象。",
    picture: "图片中没有工作流。只有 ComfyUI 原样保存的图片才有。",
    editor: "这是 ComfyUI 编辑器格式的工作流。请在 ComfyUI 中选择“工作流 → 导出（API）”，新版本为“文件 → 导出工作流（API）”，然后将该文件拖到此处。",
  },
);

interface Props {
  runtime: string;
  onTake: (workflow: Workflow) => void;
}

/** Asks for a workflow: a file, or one that is saved. */
export function WorkflowSource({ runtime, onTake }: Props) {
  const [isBusy, setBusy] = useState(false);
  const [isOver, setOver] = useState(false);
  const [error, setError] = useState<unknown>();
  const [doomed, setDoomed] = useState("");
  const file = useRef<HTMLInputElement>(null);
  const saved = useLoad((signal) => call<{ workflows: Pick<StoredWorkflow, "name" | "changed_at">[] }>("GET", "workflows", { signal }), []);
  const t = text();

  const attempt = async (action: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await action();
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  const take = (one: File | undefined) => one && attempt(async () => onTake(await workflowOf(runtime, await readFile(one), { title: one.name })));
  const use = (name: string) => attempt(async () => onTake(await storedWorkflow(runtime, name)));
  const remove = (name: string) =>
    attempt(async () => {
      await call("DELETE", `workflows/${encodeURIComponent(name)}`);
      setDoomed("");
      saved.reload();
    });

  return (
    <section class="card workflow-source" aria-busy={isBusy}>
      <h2>{t.title}</h2>
      <div
        class={isOver ? "drop large over" : "drop large"}
        onDragOver={(event) => (event.preventDefault(), setOver(true))}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take(event.dataTransfer?.files[0]);
        }}
      >
        <Icon name="workflow" size={24} />
        <p>
          {isBusy ? t.busy : t.drop}{" "}
          <button type="button" class="link" onClick={() => file.current?.click()}>
            {t.choose}
          </button>
        </p>
        <p class="soft small">{t.dropHint}</p>
        <input ref={file} type="file" accept=".json,.png,application/json,image/png" hidden onChange={(event) => (void take(event.currentTarget.files?.[0]), (event.currentTarget.value = ""))} />
      </div>
      {error instanceof WorkflowFileError ? (
        <p class="note warn" role="alert">
          <Icon name="warning" />
          <span>{t[error.reason]}</span>
        </p>
      ) : (
        Boolean(error) && <ErrorNote error={error} />
      )}
      {Boolean(saved.data?.workflows.length) && (
        <>
          <h3>{t.saved}</h3>
          <ul class="workflows">
            {saved.data!.workflows.map(({ name, changed_at }) => (
              <li key={name}>
                {doomed === name ? (
                  <>
                    <span class="workflow-sure">{t.sure(name)}</span>
                    <Button kind="danger" onClick={() => void remove(name)}>
                      {t.remove}
                    </Button>
                    <Button kind="quiet" onClick={() => setDoomed("")}>
                      {t.cancel}
                    </Button>
                  </>
                ) : (
                  <>
                    <button type="button" class="workflow-name" onClick={() => void use(name)}>
                      <Icon name="workflow" />
                      <b class="cut">{name}</b>
                      <span class="soft small">
                        {t.changed} <Ago time={changed_at} />
                      </span>
                    </button>
                    <Button kind="quiet" icon="close" label={`${t.remove}: ${name}`} onClick={() => setDoomed(name)} />
                  </>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

/** A workflow that is stored under a name; throws ApiError. */
export async function storedWorkflow(runtime: string, name: string): Promise<Workflow> {
  const { workflow, inputs, description } = await call<StoredWorkflow>("GET", `workflows/${encodeURIComponent(name)}`);
  return workflowOf(runtime, workflow, { stored: name, title: name, description, inputs });
}
