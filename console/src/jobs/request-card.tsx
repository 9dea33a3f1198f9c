import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { write } from "../api/json";
import type { JobRequest } from "../api/types";
import { table } from "../i18n";
import { Segments } from "../parts/controls";
import { CopyButton } from "../parts/copy";
import { ErrorNote, Skeleton } from "../parts/feedback";
import { isMade } from "./names";
import { SNIPPETS, type SnippetLanguage } from "./snippets";

const text = table(
  {
    title: "Request",
    as: "Show as",
    copy: "Copy all of it",
    notKept: "The request was not kept, so the job cannot be repeated. The setting keepRequests in config.yaml keeps requests.",
    cut: (n: number) => `… (${n} characters)`,
  },
  {
    title: "请求",
    as: "显示为",
    copy: "复制全部",
    notKept: "请求未保留，因此任务无法重复。config.yaml 中的 keepRequests 可保留请求。",
    cut: (n: number) => `……（共 ${n} 个字符）`,
  },
);

const MAX_SHOWN = 300;

type Form = "json" | SnippetLanguage;

/** What the caller asked for, as JSON or as a program that asks for it again. */
export function RequestCard({ request, error }: { request: JobRequest | undefined; error: unknown }) {
  const [form, setForm] = useState<Form>("json");
  const t = text();
  if (!request) {
    if (!error) return <Skeleton lines={4} />;
    return error instanceof ApiError && error.status === 404 ? <p class="note">{t.notKept}</p> : <ErrorNote error={error} />;
  }
  const whole = (one: JobRequest) => (form === "json" ? write(sent(one), 2) : SNIPPETS[form](again(one)));
  return (
    <section class="card request">
      <div class="request-head">
        <h2>{t.title}</h2>
        <Segments
          label={t.as}
          value={form}
          onChange={setForm}
          options={[
            { value: "json", text: "JSON" },
            { value: "curl", text: "curl" },
            { value: "python", text: "Python" },
            { value: "node", text: "Node" },
          ]}
        />
        <CopyButton value={() => whole(request)} label={t.copy} />
      </div>
      <pre class="code" tabIndex={0} aria-label={t.title}>
        {whole(shortened(request) as JobRequest)}
      </pre>
    </section>
  );
}

/** What the caller has sent: without an id and a prefix that the platform has filled in. */
function sent(request: JobRequest): JobRequest {
  return { ...again(request), ...(request.id && !isMade(request.id) && { id: request.id }) };
}

/** The request as a caller sends it again: without the names that belong to this job alone. */
export function again({ id, prefix, context, ...request }: JobRequest): JobRequest {
  return { ...request, ...(prefix && prefix !== "output" && { prefix }), ...(context != null && { context }) };
}

/** A value with its long texts, such as pictures in base64, cut. */
function shortened(value: unknown): unknown {
  if (typeof value === "string" && value.length > MAX_SHOWN && !/\s/.test(value.slice(0, MAX_SHOWN))) return value.slice(0, 60) + text().cut(value.length);
  if (Array.isArray(value)) return value.map(shortened);
  if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shortened(one)]));
  return value;
}
