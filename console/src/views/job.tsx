import "./job.css";
import { useState } from "preact/hooks";
import { ApiError, call } from "../api/client";
import { isActive, type Job, type JobRequest } from "../api/types";
import { table } from "../i18n";
import { Facts } from "../jobs/facts";
import { hintOf } from "../jobs/hints";
import { nameOf } from "../jobs/names";
import { placeOf } from "../jobs/place";
import { Replay } from "../jobs/replay";
import { RequestCard } from "../jobs/request-card";
import { Files, Pictures } from "../jobs/results";
import { Timings } from "../jobs/timings";
import { useJob } from "../jobs/use-job";
import { useLoad } from "../load";
import { Button, LinkButton } from "../parts/controls";
import { Empty, ErrorNote, sayError, Skeleton } from "../parts/feedback";
import { Icon } from "../parts/icon";
import { usePreview } from "../parts/preview";
import { ProgressBar } from "../parts/progress";
import { StateBadge } from "../parts/state";
import { go, href, type Route } from "../routes";

const text = table(
  {
    jobs: "Jobs",
    missing: "There is no such job",
    missingHint: "It may be older than 90 days, or belong to another key.",
    back: "To the jobs",
    cancel: "Cancel",
    retry: "Retry",
    lost: "The connection is lost; what is shown may be out of date. Connecting again …",
    waiting: "Waiting for a server",
    accepted: "Accepted; it enters the queue in a moment",
    noServer: "When it starts is not known: no server is ready, or none has ended a job in the last hour. A runtime that is scaled to zero needs some minutes.",
    servers: "See its servers",
    running: "Running",
    progress: "Progress",
    step: (step: number, steps: number) => `Step ${step} of ${steps}`,
    preview: "The unfinished picture",
    attemptFailed: "The last attempt failed; another one follows.",
    cancelled: "The job was cancelled and made nothing.",
    cancelling: "It stops in a moment.",
    code: "Error code",
  },
  {
    jobs: "任务",
    missing: "没有此任务",
    missingHint: "它可能已超过 90 天，或属于其他密钥。",
    back: "前往任务列表",
    cancel: "取消",
    retry: "重试",
    lost: "连接已断开，显示的内容可能不是最新的。正在重新连接……",
    waiting: "等待服务器",
    accepted: "已接收，即将进入队列",
    noServer: "开始时间未知：没有就绪的服务器，或最近一小时内没有完成的任务。缩容到零的运行时需要几分钟启动。",
    servers: "查看其服务器",
    running: "运行中",
    progress: "进度",
    step: (step: number, steps: number) => `第 ${step} / ${steps} 步`,
    preview: "未完成的图片",
    attemptFailed: "上次尝试失败，将再次尝试。",
    cancelled: "任务已取消，没有产生结果。",
    cancelling: "即将停止。",
    code: "错误代码",
  },
);

/** One job: its state as it changes, its pictures, its request, and what can be done with it. */
export function JobView({ route }: { route: Route }) {
  const id = route.path[1]!;
  const { job, error, isLost, put } = useJob(id);
  const request = useLoad((signal) => call<JobRequest>("GET", `jobs/${encodeURIComponent(id)}/request`, { signal }), [id]);
  const t = text();
  if (!job) {
    if (error instanceof ApiError && error.status === 404) {
      return (
        <Empty icon="search" title={t.missing}>
          <p>{t.missingHint}</p>
          <a href={href(["jobs"])}>{t.back}</a>
        </Empty>
      );
    }
    return <div class="page">{error ? <ErrorNote error={error} onRetry={() => location.reload()} /> : <Skeleton lines={10} />}</div>;
  }
  return (
    <div class="page job">
      <Head job={job} put={put} />
      {(isLost || Boolean(error)) && (
        <p class="note warn" role="status">
          <Icon name="warning" />
          {t.lost}
        </p>
      )}
      <div class="job-columns">
        <div class="job-main">
          <Now job={job} />
          {job.images.length > 0 && <Pictures job={job} />}
          {job.files.length > 0 && <Files files={job.files} />}
          <RequestCard request={request.data} error={request.error} />
        </div>
        <div class="job-side">
          {!isActive(job) && request.data && <Replay job={job} request={request.data} />}
          <Facts job={job} />
          <Timings job={job} />
        </div>
      </div>
    </div>
  );
}

function Head({ job, put }: { job: Job; put: (job: Job) => void }) {
  const [isBusy, setBusy] = useState(false);
  const t = text();
  const act = async (action: () => Promise<void>) => {
    setBusy(true);
    try {
      await action();
    } catch (error) {
      sayError(error);
    }
    setBusy(false);
  };
  const cancel = () => act(async () => put(await call<Job>("POST", `jobs/${job.job}/cancel`)));
  const retry = () =>
    act(async () => {
      const headers = { "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") };
      const again = await call<Job>("POST", `jobs/${job.job}/retry`, { body: {}, headers });
      go(["jobs", again.job]);
    });
  return (
    <header class="job-head">
      <LinkButton href={href(["jobs"])} icon="back" label={t.jobs} kind="quiet" />
      <h1 class="cut" tabIndex={-1} title={job.task_id}>
        {nameOf(job)}
      </h1>
      <span aria-live="polite">
        <StateBadge job={job} />
      </span>
      <span class="job-actions">
        {isActive(job) ? (
          <Button kind="danger" icon="stop" busy={isBusy} disabled={job.cancel_requested} onClick={() => void cancel()}>
            {t.cancel}
          </Button>
        ) : (
          <Button icon="retry" busy={isBusy} onClick={() => void retry()}>
            {t.retry}
          </Button>
        )}
      </span>
    </header>
  );
}

/** What happens with the job now, or why it has made nothing. */
function Now({ job }: { job: Job }) {
  const t = text();
  const preview = usePreview(job.progress?.preview, job.version);
  if (job.error && job.state === "failed") {
    return (
      <section class="note bad failure" role="alert">
        <Icon name="warning" />
        <div class="note-body">
          <p class="failure-message">{job.error.message}</p>
          <p>{hintOf(job.error)}</p>
          <p class="small soft">
            {t.code}: <code>{job.error.code}</code>
          </p>
        </div>
      </section>
    );
  }
  if (job.state === "cancelled") return <p class="note">{t.cancelled}</p>;
  if (!isActive(job)) return null;
  const { fraction, step, steps, stage } = job.progress ?? {};
  const isRunning = job.state === "running";
  return (
    <section class="card now">
      {preview && <img class="now-preview" src={preview} alt={t.preview} />}
      <div class="now-line">
        <b>{isRunning ? (step != null && steps != null ? t.step(step, steps) : stage || t.running) : job.state === "accepted" ? t.accepted : t.waiting}</b>
        <span class="soft numeric">{isRunning ? (fraction == null ? "" : `${Math.round(fraction * 100)} %`) : placeOf(job)}</span>
      </div>
      {isRunning && <ProgressBar fraction={fraction} label={t.progress} />}
      {!isRunning && job.queue?.eta_s === null && (
        <p class="small soft">
          {t.noServer} <a href={href(["servers"])}>{t.servers}</a>
        </p>
      )}
      {job.cancel_requested && <p class="small soft">{t.cancelling}</p>}
      {job.retry_reason && (
        <p class="small warn-text">
          {t.attemptFailed} {job.retry_reason}
        </p>
      )}
    </section>
  );
}
