import type { FieldProblem, JobRequest } from "../api/types";
import { table } from "../i18n";
import { Field } from "../parts/controls";

const text = table(
  {
    title: "Options",
    id: "Name of the job",
    idHint: "Letters, digits and hyphens; names its files, too. Default: the job's id.",
    priority: "Priority",
    webhook: "Webhook",
    webhookHint: "An address that is told when the job ends.",
    preview: "Show the picture while it is drawn, if the model server can",
  },
  {
    title: "选项",
    id: "任务名称",
    idHint: "字母、数字和连字符；也用于文件名。默认：任务的 ID。",
    priority: "优先级",
    webhook: "Webhook",
    webhookHint: "任务结束时通知的地址。",
    preview: "绘制过程中显示图片（如果模型服务器支持）",
  },
);

interface Props {
  options: Partial<JobRequest>;
  priorities: string[];
  problems: Record<string, FieldProblem>;
  onChange: (options: Partial<JobRequest>) => void;
}

/** What a request may say beside its content. */
export function Options({ options, priorities, problems, onChange }: Props) {
  const t = text();
  const change = (part: Partial<JobRequest>) => onChange(Object.fromEntries(Object.entries({ ...options, ...part }).filter(([, value]) => value !== undefined)));
  const hasPreview = Boolean(options.keep?.includes("preview"));
  const hasProblem = Boolean(problems.id ?? problems.priority ?? problems.webhook);
  return (
    <details class="form-more" open={hasProblem || undefined}>
      <summary>{t.title}</summary>
      <div class="form-fields">
        <div class="form-field">
          <Field label={t.id} hint={t.idHint} error={problems.id?.detail}>
            {(ids) => <input {...ids} autocomplete="off" spellcheck={false} value={options.id ?? ""} onInput={(event) => change({ id: event.currentTarget.value.trim() || undefined })} />}
          </Field>
        </div>
        <div class="form-field">
          <Field label={t.webhook} hint={t.webhookHint} error={problems.webhook?.detail}>
            {(ids) => (
              <input
                {...ids}
                type="url"
                placeholder="https://"
                value={String(options.webhook?.url ?? "")}
                onInput={(event) => change({ webhook: event.currentTarget.value ? { ...options.webhook, url: event.currentTarget.value } : undefined })}
              />
            )}
          </Field>
        </div>
        {priorities.length > 1 && (
          <div class="form-field">
            <Field label={t.priority} error={problems.priority?.detail}>
              {(ids) => (
                <select {...ids} value={options.priority ?? "normal"} onChange={(event) => change({ priority: event.currentTarget.value })}>
                  {priorities.map((one) => (
                    <option key={one}>{one}</option>
                  ))}
                </select>
              )}
            </Field>
          </div>
        )}
        <label class="check form-field wide">
          <input type="checkbox" checked={hasPreview} onChange={() => change({ keep: hasPreview ? undefined : ["preview"] })} />
          {t.preview}
        </label>
      </div>
    </details>
  );
}
