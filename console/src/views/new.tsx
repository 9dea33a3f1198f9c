import "./new.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, call } from "../api/client";
import { parse, write } from "../api/json";
import type { FieldProblem, Job, JobRequest, Json, Runtime } from "../api/types";
import { table } from "../i18n";
import { again, RequestCard } from "../jobs/request-card";
import { useLoad } from "../load";
import { Button, Segments } from "../parts/controls";
import { explained, ErrorNote, Skeleton } from "../parts/feedback";
import { changed, draftFor, draftOf, keep, requestOf, type Draft, type Warning } from "../requests/draft";
import { fieldsOf, problemOf, type FieldSpec, type Schema } from "../requests/fields";
import { Form } from "../requests/form";
import { JsonEntry } from "../requests/json-entry";
import { Options } from "../requests/options";
import { Outcome } from "../requests/outcome";
import { partsOf, problemsIn, sorted } from "../requests/problems";
import { defaultsOf, inputAt, placeIn, withInput, type Workflow } from "../requests/workflow";
import { WorkflowHead } from "../requests/workflow-head";
import { WorkflowSource } from "../requests/workflow-source";
import { go, replace, type Route } from "../routes";
import { dotOf, queueOf, takesWorkflows, typeName } from "../runtimes";

const text = table(
  {
    title: "New request",
    runtime: "Runtime",
    type: "Type",
    as: "Write as",
    form: "Form",
    submit: "Submit",
    anyway: "Submit anyway",
    check: "Check",
    ofJob: (job: string) => `Workflow of job ${job}`,
    ofJson: "Workflow",
    noJson: "This is not JSON.",
    noFields: "This workflow has nothing that callers usually set. It can be run as it is.",
    noRequest: "The request of that job was not kept, so the form is empty.",
  },
  {
    title: "新请求",
    runtime: "运行时",
    type: "类型",
    as: "编写方式",
    form: "表单",
    submit: "提交",
    anyway: "仍然提交",
    check: "检查",
    ofJob: (job: string) => `任务 ${job} 的工作流`,
    ofJson: "工作流",
    noJson: "这不是 JSON。",
    noFields: "此工作流没有调用者通常设置的内容，可直接运行。",
    noRequest: "该任务的请求未保留，因此表单为空。",
  },
);

/** Writes a request and submits it. The query of the address has the runtime, and the job whose request to begin with. */
export function New({ route }: { route: Route }) {
  const from = route.query.get("from") ?? "";
  const wanted = route.query.get("runtime");
  const { data, error, reload } = useLoad((signal) => call<{ runtimes: Runtime[] }>("GET", "runtimes", { signal }), [], 10);
  const earlier = useLoad(async (signal) => (from ? await call<JobRequest>("GET", `jobs/${encodeURIComponent(from)}/request`, { signal }) : null), [from]);
  const t = text();
  const runtimes = data?.runtimes ?? [];
  const runtime = runtimes.find((one) => one.name === (wanted ?? earlier.data?.runtime)) ?? runtimes[0];
  const isReady = data && (earlier.data !== undefined || earlier.error);
  return (
    <div class="page new">
      <h1 tabIndex={-1}>{t.title}</h1>
      {!data && (error ? <ErrorNote error={error} onRetry={reload} /> : <Skeleton lines={8} />)}
      {isReady && runtime && (
        <>
          <RuntimeChoice runtimes={runtimes} chosen={runtime.name} onChoose={(name) => replace(["new"], { runtime: name, from })} />
          {from && Boolean(earlier.error) && <p class="note warn">{earlier.error instanceof ApiError && earlier.error.status === 404 ? t.noRequest : explained(earlier.error)}</p>}
          <Composer key={`${runtime.name} ${from}`} runtime={runtime} earlier={earlier.data ?? undefined} title={from && t.ofJob(from)} />
        </>
      )}
    </div>
  );
}

function RuntimeChoice({ runtimes, chosen, onChoose }: { runtimes: Runtime[]; chosen: string; onChoose: (name: string) => void }) {
  const root = useRef<HTMLFieldSetElement>(null);
  // On a phone the runtimes stand in one line, of which a part is in sight.
  useEffect(() => root.current?.querySelector(":checked")?.parentElement?.scrollIntoView({ block: "nearest", inline: "nearest" }), [chosen]);
  return (
    <fieldset class="queues runtime-choice" ref={root}>
      <legend class="unseen">{text().runtime}</legend>
      {runtimes.map((one) => (
        <label key={one.name} class="queue">
          <input type="radio" class="unseen" name="runtime" checked={one.name === chosen} onChange={() => onChoose(one.name)} />
          <span class="queue-name">
            <span class={dotOf(one)} aria-hidden="true" />
            <b class="cut">{one.name}</b>
          </span>
          <span class="small">{typeName(one.type)}</span>
          <span class="soft small">{queueOf(one)}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** The request for one runtime, as a form or as JSON. */
function Composer({ runtime, earlier, title }: { runtime: Runtime; earlier: JobRequest | undefined; title: string }) {
  const [draft, setDraft] = useState<Draft>(() => draftFor(runtime));
  const [json, setJson] = useState<string>();
  const [problems, setProblems] = useState<FieldProblem[]>([]);
  const [error, setError] = useState<unknown>();
  const [warnings, setWarnings] = useState<Warning[]>([]);
  const [isValid, setValid] = useState(false);
  const [isChecked, setChecked] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const t = text();

  const isFlow = takesWorkflows(runtime);
  const schema = useLoad(
    async (signal) => (isFlow ? {} : await call<Schema>("GET", `runtimes/${encodeURIComponent(runtime.name)}/schema`, { query: { type: draft.type }, signal })),
    [draft.type],
  ).data;
  const fields: FieldSpec[] = draft.workflow ? draft.workflow.fields : schema ? fieldsOf(schema) : [];
  const hasForm = isFlow || !schema || fields.length > 0;
  const mode = json === undefined && hasForm ? "form" : "json";
  const isBlank = !draft.workflow && !Object.keys(draft.values).length;
  const written = () => json ?? write(requestOf(runtime, !hasForm && isBlank ? { ...draft, values: schema?.examples?.[0] ?? {} } : draft), 2);

  const forget = () => (setProblems([]), setError(undefined), setWarnings([]), setValid(false));
  const change = (next: Draft) => (setDraft(next), keep(runtime.name, next));
  const adopt = async (request: JobRequest, from: string) => {
    try {
      change(await draftOf(runtime, request, from));
    } catch (problem) {
      setError(problem);
    }
  };
  useEffect(() => {
    if (earlier) void adopt(again({ ...earlier, runtime: runtime.name }), title);
  }, [earlier]);
  // What a workflow lacks on these servers is said at once.
  useEffect(() => {
    if (draft.workflow) void check();
  }, [draft.workflow?.graph]);

  // What another type does not take would stand in the request unseen.
  const seenType = useRef(draft.type);
  useEffect(() => {
    if (!schema?.properties || seenType.current === draft.type) return;
    seenType.current = draft.type;
    change({ ...draft, values: Object.fromEntries(Object.entries(draft.values).filter(([name]) => name in schema.properties!)) });
  }, [schema]);

  const fieldAt = (parts: string[]) => {
    if (parts[0] !== "content") return undefined;
    if (draft.workflow) return inputAt(draft.workflow, parts);
    return fields.find((field) => field.name === parts[1])?.name;
  };
  const { fields: fieldProblems, others } = sorted(problems, fieldAt);
  const optionProblems = Object.fromEntries(others.map((one) => [partsOf(one.pointer)[0], one]));
  const repairOf = ({ pointer, suggestion }: FieldProblem) => {
    const { workflow } = draft;
    if (!workflow || !suggestion) return undefined;
    const name = fieldAt(partsOf(pointer));
    if (name !== undefined) return () => setField(name, suggestion);
    const place = placeIn(workflow, partsOf(pointer));
    return place?.field && !workflow.stored ? () => change({ ...draft, workflow: withInput(workflow, place, suggestion) }) : undefined;
  };
  // Of a workflow all is said above the form, which may be long; else only what stands at no field.
  const elsewhere = (draft.workflow ? problems : others).filter((one) => !["id", "priority", "webhook"].includes(partsOf(one.pointer)[0] ?? "") || mode === "json");

  const current = (): JobRequest => (mode === "json" ? (parse(written()) as JobRequest) : requestOf(runtime, draft));
  const check = async (): Promise<Warning[] | undefined> => {
    forget();
    let request: JobRequest;
    try {
      request = current();
    } catch {
      setError(new ApiError(400, "invalid_json", t.noJson));
      return undefined;
    }
    try {
      const answer = await call<{ warnings: Warning[] }>("POST", "jobs", { query: { dry_run: "true" }, body: request });
      setWarnings(answer.warnings);
      return answer.warnings;
    } catch (problem) {
      setProblems(problemsIn(problem));
      if (!problemsIn(problem).length) setError(problem);
      return undefined;
    }
  };
  const lead = () => requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true], .note.bad")?.focus());
  const isComplete = () => {
    setChecked(true);
    return mode === "json" || !fields.some((field) => problemOf(field, draft.values[field.name]));
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    if (isBusy) return;
    if (!isComplete()) return lead();
    setBusy(true);
    const known = write(warnings);
    const found = await check();
    if (found && (!found.length || write(found) === known)) {
      const headers = { "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") };
      try {
        const job = await call<Job>("POST", "jobs", { body: current(), headers });
        return go(["jobs", job.job]);
      } catch (problem) {
        setError(problem);
      }
    }
    setBusy(false);
    lead();
  };
  const checkOnly = async () => {
    if (!isComplete()) return lead();
    const found = await check();
    setValid(found?.length === 0);
    if (!found) lead();
  };
  const setField = (name: string, value: Json | undefined) => {
    setProblems(problems.filter((one) => fieldAt(partsOf(one.pointer)) !== name));
    setWarnings([]);
    setValid(false);
    change({ ...draft, values: changed(draft.values, name, value) });
  };
  const setMode = (next: "form" | "json") => {
    forget();
    if (next === "json") return setJson(written());
    const request = requestIn(written());
    if (!request) return setError(new ApiError(400, "invalid_json", t.noJson));
    setJson(undefined);
    if (!isFlow || Object.keys(request.content).length) void adopt(request, t.ofJson);
  };
  const take = (workflow: Workflow | undefined) => {
    forget();
    setChecked(false);
    change({ ...draft, workflow, values: workflow ? defaultsOf(workflow) : {} });
  };

  return (
    <form class="new-columns" ref={form} noValidate onSubmit={(event) => void submit(event)}>
      <div class="new-main">
        <div class="new-kind">
          {!isFlow && runtime.task_types.length > 1 && (
            <Segments label={t.type} value={draft.type} options={runtime.task_types.map((value) => ({ value, text: value }))} onChange={(type) => (forget(), setChecked(false), change({ ...draft, type }))} />
          )}
          {hasForm && (
            <Segments
              label={t.as}
              value={mode}
              onChange={setMode}
              options={[
                { value: "form", text: t.form },
                { value: "json", text: "JSON" },
              ]}
            />
          )}
        </div>
        <Outcome runtime={runtime.name} workflow={draft.workflow} problems={elsewhere} error={error} warnings={warnings} isValid={isValid} repairOf={repairOf} />
        {mode === "json" ? (
          <JsonEntry value={written()} onChange={(text) => (setJson(text), forget())} />
        ) : isFlow && !draft.workflow ? (
          <WorkflowSource runtime={runtime.name} onTake={take} />
        ) : !schema ? (
          <Skeleton lines={8} />
        ) : (
          <section class="card new-form">
            {draft.workflow && <WorkflowHead workflow={draft.workflow} values={draft.values} onOther={() => take(undefined)} onSaved={(name) => change({ ...draft, workflow: { ...draft.workflow!, stored: name, title: name } })} />}
            {draft.workflow && !fields.length && <p class="soft small">{t.noFields}</p>}
            <Form fields={fields} values={draft.values} problems={fieldProblems} isChecked={isChecked} onChange={setField} />
            <Options options={draft.options} priorities={runtime.priorities} problems={optionProblems} onChange={(options) => change({ ...draft, options })} />
          </section>
        )}
        {!(isFlow && !draft.workflow && mode === "form") && (
          <div class="submit-bar">
            <Button type="submit" kind="primary" busy={isBusy}>
              {warnings.length ? t.anyway : t.submit}
            </Button>
            <Button kind="quiet" onClick={() => void checkOnly()}>
              {t.check}
            </Button>
          </div>
        )}
      </div>
      <div class="new-side">{mode === "form" && (!isFlow || draft.workflow) && <RequestCard request={requestOf(runtime, draft)} error={undefined} />}</div>
    </form>
  );
}

/** The request in a text; undefined if there is none. */
function requestIn(text: string): JobRequest | undefined {
  try {
    const request = parse(text) as Partial<JobRequest> | null;
    return typeof request?.content === "object" && request.content !== null && !Array.isArray(request.content) ? (request as JobRequest) : undefined;
  } catch {
    return undefined;
  }
}
