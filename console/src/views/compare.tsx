import "./gallery.css";
import { useState } from "preact/hooks";
import { call, outputUrl } from "../api/client";
import { write } from "../api/json";
import type { Job, JobRequest, Output } from "../api/types";
import { table } from "../i18n";
import { nameOf } from "../jobs/names";
import { aboutOutput } from "../jobs/results";
import { useLoad } from "../load";
import { LinkButton, Segments } from "../parts/controls";
import { Empty, ErrorNote, Skeleton } from "../parts/feedback";
import { Icon } from "../parts/icon";
import { href, type Route } from "../routes";

const text = table(
  {
    title: "Comparison",
    gallery: "Gallery",
    show: "Show",
    slider: "Slider",
    pair: "Side by side",
    border: "Border between the two pictures, in percent",
    left: "left",
    right: "right",
    differences: "What differs in their requests",
    same: "Their requests are the same.",
    field: "Field",
    missing: "There are no such two pictures",
    missingHint: "They may be older than 90 days, or belong to another key.",
  },
  {
    title: "比较",
    gallery: "图库",
    show: "显示方式",
    slider: "滑块",
    pair: "并排",
    border: "两张图片的分界，百分比",
    left: "左",
    right: "右",
    differences: "请求的不同之处",
    same: "两个请求相同。",
    field: "字段",
    missing: "没有这两张图片",
    missingHint: "它们可能已超过 90 天，或属于其他密钥。",
  },
);

interface Side {
  job: Job;
  output: Output;
  request: JobRequest | null;
}

/** Two pictures under a slider, or beside each other. The address names them: compare/JOB.N/JOB.N. */
export function Compare({ route }: { route: Route }) {
  const [, ...names] = route.path;
  const { data, error, reload } = useLoad((signal) => Promise.all(names.slice(0, 2).map((name) => load(name, signal))), [names]);
  const [mode, setMode] = useState<"slider" | "pair">("slider");
  const [at, setAt] = useState(50);
  const t = text();
  if (error) return <div class="page"><ErrorNote error={error} onRetry={reload} /></div>;
  if (!data) return <div class="page"><Skeleton lines={10} /></div>;
  const [left, right] = data;
  if (!left || !right) {
    return (
      <Empty icon="search" title={t.missing}>
        <p>{t.missingHint}</p>
        <a href={href(["gallery"])}>{t.gallery}</a>
      </Empty>
    );
  }
  const ratio = (left.output.width ?? 1) / (left.output.height ?? 1);
  const alt = (side: Side, where: string) => `${nameOf(side.job)} (${where})`;
  return (
    <div class="page compare">
      <div class="page-head">
        <span class="job-head">
          <LinkButton href={href(["gallery"])} icon="back" label={t.gallery} kind="quiet" />
          <h1 tabIndex={-1}>{t.title}</h1>
        </span>
        <Segments
          label={t.show}
          value={mode}
          onChange={setMode}
          options={[
            { value: "slider", text: t.slider },
            { value: "pair", text: t.pair },
          ]}
        />
      </div>
      <div class="compare-names">
        <Name side={left} />
        <Name side={right} />
      </div>
      {mode === "slider" ? (
        <div class="compare-stage slider" style={{ "--at": `${at}%`, "--ratio": String(ratio) }}>
          <img src={outputUrl(left.output.url)} alt={alt(left, t.left)} />
          <img src={outputUrl(right.output.url)} alt={alt(right, t.right)} />
          <input type="range" min="0" max="100" step="1" value={at} aria-label={t.border} onInput={(event) => setAt(event.currentTarget.valueAsNumber)} />
          <span class="compare-grip">
            <Icon name="compare" />
          </span>
        </div>
      ) : (
        <div class="compare-pair">
          {[left, right].map((side, index) => (
            <div class="compare-stage" key={index} style={{ "--ratio": String(ratio) }}>
              <img src={outputUrl(side.output.url)} alt={alt(side, index ? t.right : t.left)} />
            </div>
          ))}
        </div>
      )}
      <Differences left={left} right={right} />
    </div>
  );
}

function Name({ side }: { side: Side }) {
  return (
    <div class="small">
      <a href={href(["jobs", side.job.job])}>{nameOf(side.job)}</a> <span class="soft">{aboutOutput(side.output)}</span>
    </div>
  );
}

function Differences({ left, right }: { left: Side; right: Side }) {
  const t = text();
  if (!left.request || !right.request) return null;
  const sides = [left, right].map((side) => new Map(leaves({ runtime: side.job.runtime, type: side.job.type, content: side.request!.content })));
  const [a, b] = sides as [Map<string, string>, Map<string, string>];
  const differing = [...new Set([...a.keys(), ...b.keys()])].filter((key) => a.get(key) !== b.get(key));
  if (!differing.length) return <p class="soft small">{t.same}</p>;
  return (
    <section class="card" aria-label={t.differences}>
      <table class="differences">
        <thead>
          <tr>
            <th scope="col">{t.field}</th>
            <th scope="col">{nameOf(left.job)}</th>
            <th scope="col">{nameOf(right.job)}</th>
          </tr>
        </thead>
        <tbody>
          {differing.map((key) => (
            <tr key={key}>
              <th scope="row">
                <code>{key}</code>
              </th>
              <td>{a.get(key) ?? "–"}</td>
              <td>{b.get(key) ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const MAX_TEXT = 400;

/** The values inside a value, by their paths. */
function* leaves(value: unknown, path = ""): Generator<[string, string]> {
  if (typeof value === "object" && value !== null) {
    for (const [key, one] of Object.entries(value)) yield* leaves(one, path ? `${path}.${key}` : key);
    return;
  }
  const shown = typeof value === "string" ? value : write(value);
  yield [path, shown.length > MAX_TEXT ? `${shown.slice(0, MAX_TEXT)}…` : shown];
}

/** A picture by its address JOB.N; undefined if there is none. */
async function load(name: string, signal: AbortSignal): Promise<Side | undefined> {
  const [, id, number] = /^([\w-]+)\.(\d+)$/.exec(name) ?? [];
  if (!id) return undefined;
  const [job, request] = await Promise.all([
    call<Job>("GET", `jobs/${id}`, { signal }),
    call<JobRequest>("GET", `jobs/${id}/request`, { signal }).catch(() => null), // a request need not have been kept
  ]);
  const output = job.images[Number(number) - 1];
  return output && { job, output, request };
}
