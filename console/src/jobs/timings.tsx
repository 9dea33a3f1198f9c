import type { Job } from "../api/types";
import { span, table } from "../i18n";

const text = table(
  {
    timings: "Time",
    queued: "queued",
    prepare: "inputs",
    run: "drawing",
    store: "storing",
  },
  {
    timings: "用时",
    queued: "排队",
    prepare: "输入",
    run: "绘制",
    store: "保存",
  },
);

const STAGES = ["queued", "prepare", "run", "store"] as const;

/** Where the time went, as one bar and in numbers. */
export function Timings({ job }: { job: Job }) {
  const t = text();
  const spent = STAGES.map((stage) => ({ stage, seconds: job.timings[`${stage}_s`] })).filter((one): one is { stage: (typeof STAGES)[number]; seconds: number } => one.seconds !== null);
  const total = spent.reduce((sum, one) => sum + one.seconds, 0);
  if (!spent.length) return null;
  return (
    <section class="card timings" aria-label={t.timings}>
      <h2>
        {t.timings} <span class="soft numeric">{span(total)}</span>
      </h2>
      <div class="timings-bar" aria-hidden="true">
        {total > 0 && spent.map(({ stage, seconds }) => <div key={stage} class={stage} style={{ flexGrow: String(seconds / total) }} />)}
      </div>
      <dl>
        {spent.map(({ stage, seconds }) => (
          <div key={stage}>
            <dt>
              <span class={`swatch ${stage}`} aria-hidden="true" /> {t[stage]}
            </dt>
            <dd class="numeric">{span(seconds)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
