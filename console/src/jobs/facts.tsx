import { write } from "../api/json";
import type { Job } from "../api/types";
import { moment, number, table } from "../i18n";
import { keyName, ownKey } from "../keys";
import { LinkButton } from "../parts/controls";
import { CopyButton } from "../parts/copy";
import { Ago } from "../parts/time";
import { href } from "../routes";
import { useStore } from "../store";
import { shortId } from "./names";
import { Files } from "./results";

const text = table(
  {
    facts: "Facts",
    id: "Job",
    runtime: "Runtime",
    type: "Type",
    key: "API key",
    priority: "Priority",
    created: "Submitted",
    attempts: "Attempts",
    repeats: "Repeats",
    compare: "Compare with it",
    context: "Context",
    manifest: "Manifest",
    manifestOpen: "all parameters, as JSON",
  },
  {
    facts: "信息",
    id: "任务",
    runtime: "运行时",
    type: "类型",
    key: "API 密钥",
    priority: "优先级",
    created: "提交时间",
    attempts: "尝试次数",
    repeats: "重复自",
    compare: "与其比较",
    context: "上下文",
    manifest: "清单",
    manifestOpen: "全部参数（JSON）",
  },
);

/** What is known of a job besides its state: whose it is, when it came, what its caller has said with it. */
export function Facts({ job }: { job: Job }) {
  const whose = keyName(useStore(ownKey), job.tenant);
  const t = text();
  return (
    <section class="card facts" aria-label={t.facts}>
      <dl>
        <dt>{t.id}</dt>
        <dd>
          <code title={job.job}>{shortId(job.job)}</code>
          <CopyButton value={() => job.job} />
        </dd>
        <dt>{t.runtime}</dt>
        <dd>
          <a href={href(["jobs"], { runtime: job.runtime })}>{job.runtime}</a>
        </dd>
        <dt>{t.type}</dt>
        <dd>{job.type}</dd>
        {whose && (
          <>
            <dt>{t.key}</dt>
            <dd>{whose}</dd>
          </>
        )}
        {job.priority !== "normal" && (
          <>
            <dt>{t.priority}</dt>
            <dd>{job.priority}</dd>
          </>
        )}
        <dt>{t.created}</dt>
        <dd title={moment(job.created_at)}>
          <Ago time={job.created_at} />
        </dd>
        {job.attempts > 1 && (
          <>
            <dt>{t.attempts}</dt>
            <dd>{number(job.attempts)}</dd>
          </>
        )}
        {job.retry_of && (
          <>
            <dt>{t.repeats}</dt>
            <dd>
              <a href={href(["jobs", job.retry_of])}>{shortId(job.retry_of)}</a>
              {job.images.length > 0 && <LinkButton href={href(["compare", `${job.retry_of}.1`, `${job.job}.1`])} icon="compare" label={t.compare} kind="quiet" />}
            </dd>
          </>
        )}
        {job.manifest && (
          <>
            <dt>{t.manifest}</dt>
            <dd>
              <Files files={[{ ...job.manifest, name: t.manifestOpen }]} isPlain />
            </dd>
          </>
        )}
      </dl>
      {job.context !== null && (
        <>
          <h2>{t.context}</h2>
          <pre class="code">{write(job.context, 2)}</pre>
        </>
      )}
    </section>
  );
}
