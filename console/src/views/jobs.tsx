import { useEffect, useRef } from "preact/hooks";
import { call } from "../api/client";
import { isActive, type Job, type Runtime } from "../api/types";
import { number, span, table } from "../i18n";
import { jobList, type JobFilter } from "../jobs/job-list";
import { nameOf, thumbnailOf } from "../jobs/names";
import { placeOf, startOf } from "../jobs/place";
import { ALL, KeyChoice, keyName, ownKey } from "../keys";
import { useLoad } from "../load";
import { Segments } from "../parts/controls";
import { Empty, ErrorNote, Skeleton } from "../parts/feedback";
import { Icon } from "../parts/icon";
import { useNarrow } from "../parts/narrow";
import { ProgressBar } from "../parts/progress";
import { StateBadge, stateText } from "../parts/state";
import { Thumbnail } from "../parts/thumbnail";
import { Ago } from "../parts/time";
import { VirtualList } from "../parts/virtual-list";
import { go, href, replace, type Route } from "../routes";
import { dotOf, isStuck, stuckFirst } from "../runtimes";
import { useStore } from "../store";

const text = table(
  {
    title: "Jobs",
    runtimes: "Runtimes",
    all: "All",
    active: "Active",
    filter: "State",
    search: "Job or task id",
    queued: (n: string) => `${n} queued`,
    running: (n: number) => `${n} running`,
    servers: (n: number) => (n === 1 ? "1 server" : `${n} servers`),
    noServers: "No server is ready",
    each: (span: string) => `${span} a job`,
    only: (name: string) => `Show only jobs of ${name}`,
    everything: "Show the jobs of all runtimes",
    list: "Jobs, newest first",
    none: "No jobs yet",
    noneHint: (
      <>
        Send a request to <code>POST /v1/jobs</code>, or fill in <a href="#/new">a new request</a>. It appears here at once.
      </>
    ),
    noMatch: "No jobs match",
    noMatchHint: "Jobs are kept for 90 days. Choose another state, runtime or id.",
    clear: "Show all jobs",
    more: "Loading more …",
    ended: (n: string) => `${n} in all`,
    progress: "Progress",
    step: (step: number, steps: number) => `step ${step} of ${steps}`,
    pictures: (n: number) => (n === 1 ? "1 picture" : `${n} pictures`),
    files: (n: number) => (n === 1 ? "1 file" : `${n} files`),
    again: (reason: string) => `Tries again: ${reason}`,
  },
  {
    title: "任务",
    runtimes: "运行时",
    all: "全部",
    active: "进行中",
    filter: "状态",
    search: "任务 ID",
    queued: (n: string) => `排队 ${n}`,
    running: (n: number) => `运行 ${n}`,
    servers: (n: number) => `${n} 台服务器`,
    noServers: "没有就绪的服务器",
    each: (span: string) => `每个任务 ${span}`,
    only: (name: string) => `只显示 ${name} 的任务`,
    everything: "显示所有运行时的任务",
    list: "任务，最新的在前",
    none: "还没有任务",
    noneHint: (
      <>
        向 <code>POST /v1/jobs</code> 发送请求，或填写<a href="#/new">新请求</a>，任务会立即显示在这里。
      </>
    ),
    noMatch: "没有符合条件的任务",
    noMatchHint: "任务保留 90 天。请选择其他状态、运行时或 ID。",
    clear: "显示全部任务",
    more: "正在加载更多……",
    ended: (n: string) => `共 ${n} 个`,
    progress: "进度",
    step: (step: number, steps: number) => `第 ${step} / ${steps} 步`,
    pictures: (n: number) => `${n} 张图片`,
    files: (n: number) => `${n} 个文件`,
    again: (reason: string) => `将重试：${reason}`,
  },
);

const ACTIVE = "accepted,queued,running";
const ROW_PX = 56;
const NARROW_ROW_PX = 76;

const JOB_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The queue of each runtime, and all jobs. The query of the address has the filter: state, runtime, task_id, tenant. */
export function Jobs({ route }: { route: Route }) {
  const state = route.query.get("state") ?? "";
  const runtime = route.query.get("runtime") ?? "";
  const task_id = route.query.get("task_id") ?? "";
  const own = useStore(ownKey);
  const chosen = route.query.get("tenant") ?? "";
  const t = text();
  const s = stateText();
  const show = (changes: Record<string, string>) => replace(["jobs"], { state, runtime, task_id, tenant: chosen, ...changes });
  return (
    <div class="page filling">
      <div class="page-head">
        <h1 tabIndex={-1}>{t.title}</h1>
        <KeyChoice value={chosen || ALL} onChoose={(id) => show({ tenant: id === ALL ? "" : id })} />
        <Search value={task_id} onSearch={(value) => (JOB_ID.test(value) ? go(["jobs", value]) : show({ task_id: value }))} />
        <Segments
          label={t.filter}
          value={state}
          onChange={(value) => show({ state: value })}
          options={[
            { value: "", text: t.all },
            { value: ACTIVE, text: t.active },
            { value: "succeeded", text: s.succeeded },
            { value: "failed", text: s.failed },
            { value: "cancelled", text: s.cancelled },
          ]}
        />
      </div>
      <Queues chosen={runtime} onChoose={(name) => show({ runtime: name })} />
      {own ? <List key={`${state} ${runtime} ${task_id} ${chosen}`} filter={{ state, runtime, task_id, tenant: own.role === "admin" ? chosen || ALL : "" }} /> : <Skeleton lines={8} />}
    </div>
  );
}

/** A card for each runtime: what waits, what runs, when a job would start. Choosing one filters the list. */
function Queues({ chosen, onChoose }: { chosen: string; onChoose: (name: string) => void }) {
  const { data, error, reload } = useLoad((signal) => call<{ runtimes: Runtime[] }>("GET", "runtimes", { signal }), [], 5);
  const t = text();
  if (!data && error) return <ErrorNote error={error} onRetry={reload} />;
  return (
    <section class="queues" aria-label={t.runtimes} aria-busy={!data}>
      {!data && [0, 1].map((number) => <div key={number} class="queue bone" />)}
      {stuckFirst(data?.runtimes ?? []).map((one) => (
        <Queue key={one.name} runtime={one} isChosen={one.name === chosen} onChoose={onChoose} />
      ))}
    </section>
  );
}

function Queue({ runtime, isChosen, onChoose }: { runtime: Runtime; isChosen: boolean; onChoose: (name: string) => void }) {
  const t = text();
  const { name, type, queued, running, ready_servers, eta_s, seconds_a_job } = runtime;
  const start = ready_servers === 0 ? t.noServers : eta_s === null ? "" : startOf(eta_s);
  const rate = seconds_a_job === null ? "" : t.each(span(seconds_a_job));
  return (
    <button type="button" class="queue" aria-pressed={isChosen} title={isChosen ? t.everything : t.only(name)} onClick={() => onChoose(isChosen ? "" : name)}>
      <span class="queue-name">
        <span class={dotOf(runtime)} aria-hidden="true" />
        <b class="cut">{name}</b>
        <span class="soft small">{type}</span>
      </span>
      <span class="queue-counts">
        <span>{t.queued(queued === null ? "1000+" : number(queued))}</span>
        <span>{t.running(running)}</span>
        {ready_servers > 0 && <span>{t.servers(ready_servers)}</span>}
      </span>
      <span class={isStuck(runtime) ? "bad-text small" : "soft small"}>{[start, rate].filter(Boolean).join(" · ")}</span>
    </button>
  );
}

/** Finds a job by its id, or those of a task. The key "/" leads to it. */
function Search({ value, onSearch }: { value: string; onSearch: (value: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const t = text();
  useEffect(() => void (input.current!.value = value), [value]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch(input.current!.value.trim());
      }}
    >
      <Icon name="search" />
      {/* A browser sends "search" when its own cross empties the field. */}
      <input ref={input} type="search" aria-label={t.search} placeholder={t.search} onSearch={(event: Event) => !(event.currentTarget as HTMLInputElement).value && onSearch("")} />
    </form>
  );
}

function List({ filter }: { filter: JobFilter }) {
  const list = jobList(filter);
  const { jobs, next, isReady, error } = useStore(list);
  const isNarrow = useNarrow();
  const t = text();
  useEffect(() => {
    const end = new AbortController();
    void list.keepCurrent(end.signal);
    return () => end.abort();
  }, [list]);
  if (!isReady) return error ? <ErrorNote error={error} onRetry={() => void list.more()} /> : <Skeleton lines={8} />;
  if (!jobs.length && next === null) {
    return filter.state || filter.runtime || filter.task_id || (filter.tenant && filter.tenant !== ALL) ? (
      <Empty icon="search" title={t.noMatch}>
        <p>{t.noMatchHint}</p>
        <a href={href(["jobs"])}>{t.clear}</a>
      </Empty>
    ) : (
      <Empty icon="jobs" title={t.none}>
        <p>{t.noneHint}</p>
      </Empty>
    );
  }
  return (
    <>
      {Boolean(error) && <ErrorNote error={error} onRetry={() => void list.more()} />}
      <VirtualList
        label={t.list}
        count={jobs.length}
        rowHeight={() => (isNarrow ? NARROW_ROW_PX : ROW_PX)}
        keyOf={(index) => jobs[index]!.job}
        item={(index, tabIndex) => <Row job={jobs[index]!} tabIndex={tabIndex} />}
        onNearEnd={() => void list.more()}
        onSight={(first, last) => list.look(first, last)}
        scroll={list.scroll}
        end={<p class="list-end soft small">{next === null ? t.ended(number(jobs.length)) : t.more}</p>}
      />
    </>
  );
}

function Row({ job, tabIndex }: { job: Job; tabIndex: 0 | -1 }) {
  const whose = keyName(ownKey.value, job.tenant);
  return (
    <a class="job-row" href={href(["jobs", job.job])} tabIndex={tabIndex}>
      <Thumbnail url={thumbnailOf(job)} icon={job.files.length ? "download" : "gallery"} />
      <span class="job-name">
        <b class="cut">{nameOf(job)}</b>
        <span class="soft small cut">
          {[whose, job.runtime, job.type].filter(Boolean).join(" · ")}
        </span>
      </span>
      <StateBadge job={job} />
      <span class="job-news small">
        <News job={job} />
      </span>
      <span class="job-age soft small">
        <Ago time={job.created_at} />
      </span>
    </a>
  );
}

/** What matters of a job in its state: its place, its progress, its error, or what it made in which time. */
function News({ job }: { job: Job }) {
  const t = text();
  if (job.state === "failed") return <span class="cut bad-text">{job.error?.message}</span>;
  if (job.state === "running") {
    const { step, steps, stage, fraction } = job.progress ?? {};
    return (
      <span class="job-progress">
        <ProgressBar fraction={fraction} label={`${t.progress}: ${nameOf(job)}`} />
        <span class="soft cut">{step != null && steps != null ? t.step(step, steps) : (stage ?? "")}</span>
      </span>
    );
  }
  if (isActive(job)) {
    if (job.retry_reason) return <span class="cut warn-text">{t.again(job.retry_reason)}</span>;
    return <span class="soft cut">{placeOf(job)}</span>;
  }
  const made = [job.images.length ? t.pictures(job.images.length) : "", job.files.length ? t.files(job.files.length) : ""];
  const { run_s } = job.timings;
  return <span class="soft cut">{[...made, run_s === null ? "" : span(run_s)].filter(Boolean).join(" · ")}</span>;
}
