import "./usage.css";
import { useState } from "preact/hooks";
import { call } from "../api/client";
import type { UsageRow } from "../api/types";
import { number, span, table } from "../i18n";
import { ALL, KeyChoice, ownKey } from "../keys";
import { useLoad } from "../load";
import { Segments } from "../parts/controls";
import { Empty, ErrorNote, Skeleton } from "../parts/feedback";
import { href, replace, type Route } from "../routes";
import { useStore } from "../store";
import { dateOf, daysOf, topOf } from "../usage/days";
import { Chart } from "../usage/chart";

const text = table(
  {
    title: "Usage",
    period: "Period",
    days: (n: number) => `${n} days`,
    measure: "Show",
    as: "Show as",
    chart: "Chart",
    table: "Table",
    jobs: "Jobs",
    pictures: "Pictures",
    gpu_seconds: "GPU time",
    succeeded: "Succeeded",
    failed: "Failed",
    cancelled: "Cancelled",
    runtime: "Runtime",
    day: "Day",
    all: "All",
    byRuntime: "By runtime",
    none: "Nothing was used in this period",
    noneHint: "Choose a longer period, or make the first request.",
    request: "New request",
    utc: "Days are in UTC; a job counts on the day it was submitted.",
    share: (percent: string) => `${percent} % of jobs`,
  },
  {
    title: "用量",
    period: "时段",
    days: (n: number) => `${n} 天`,
    measure: "显示",
    as: "显示方式",
    chart: "图表",
    table: "表格",
    jobs: "任务",
    pictures: "图片",
    gpu_seconds: "GPU 时间",
    succeeded: "成功",
    failed: "失败",
    cancelled: "已取消",
    runtime: "运行时",
    day: "日期",
    all: "全部",
    byRuntime: "按运行时",
    none: "此时段内没有用量",
    noneHint: "请选择更长的时段，或提交第一个请求。",
    request: "新请求",
    utc: "日期为 UTC；任务计入提交当天。",
    share: (percent: string) => `占任务的 ${percent}%`,
  },
);

const PERIODS = [7, 30, 90];
export const MEASURES = ["jobs", "pictures", "gpu_seconds"] as const;
export type Measure = (typeof MEASURES)[number];

/** What was used on each day, by runtime. The query of the address has the period and the measure. */
export function UsageView({ route }: { route: Route }) {
  const period = PERIODS.find((days) => String(days) === route.query.get("days")) ?? 30;
  const measure = MEASURES.find((one) => one === route.query.get("show")) ?? "jobs";
  const own = useStore(ownKey);
  const chosen = route.query.get("tenant") ?? "";
  const [form, setForm] = useState<"chart" | "table">("chart");
  const tenants = own?.role !== "admin" ? [""] : chosen ? [chosen] : own.keys.map(({ id }) => id);
  const { data, error, reload } = useLoad(async (signal) => (own ? (await Promise.all(tenants.map((tenant) => usageOf(period, tenant, signal)))).flat() : undefined), [period, own && tenants], 60);
  const t = text();
  const show = (changes: Record<string, string>) => replace(["usage"], { days: String(period), show: measure, tenant: chosen, ...changes });
  const runtimes = data ? [...new Set(data.map((row) => row.runtime))].sort() : [];
  return (
    <div class="page usage">
      <div class="page-head">
        <h1 tabIndex={-1}>{t.title}</h1>
        <KeyChoice value={chosen || ALL} onChoose={(tenant) => show({ tenant: tenant === ALL ? "" : tenant })} />
        <Segments label={t.period} value={String(period)} onChange={(days) => show({ days })} options={PERIODS.map((days) => ({ value: String(days), text: t.days(days) }))} />
      </div>
      {Boolean(error) && <ErrorNote error={error} onRetry={reload} />}
      {!data && !error && <Skeleton lines={8} />}
      {data && !data.length && (
        <Empty icon="usage" title={t.none}>
          <p>{t.noneHint}</p>
          <a href={href(["new"])}>{t.request}</a>
        </Empty>
      )}
      {data && data.length > 0 && (
        <>
          <Totals rows={data} />
          <section class="card usage-card">
            <div class="usage-head">
              <Segments label={t.measure} value={measure} onChange={(value) => show({ show: value })} options={MEASURES.map((value) => ({ value, text: t[value] }))} />
              <Segments
                label={t.as}
                value={form}
                onChange={setForm}
                options={[
                  { value: "chart", text: t.chart },
                  { value: "table", text: t.table },
                ]}
              />
            </div>
            {form === "chart" ? (
              <Chart days={daysOf(data, period, measure)} runtimes={runtimes} format={(value) => shown(value, measure)} top={topOf(data, measure)} label={`${t[measure]}, ${t.days(period)}`} />
            ) : (
              <DayTable rows={data} period={period} measure={measure} runtimes={runtimes} />
            )}
          </section>
          <RuntimeTable rows={data} runtimes={runtimes} />
          <p class="soft small">{t.utc}</p>
        </>
      )}
    </div>
  );
}

/** A measure's value as a text: seconds as a span of time. */
function shown(value: number, measure: Measure): string {
  return measure === "gpu_seconds" ? span(value) : number(value);
}

async function usageOf(period: number, tenant: string, signal: AbortSignal): Promise<UsageRow[]> {
  const rows: UsageRow[] = [];
  let cursor: string | undefined;
  do {
    const page = await call<{ rows: UsageRow[]; next: string | null }>("GET", "usage", { query: { by: "day", from: dateOf(period - 1), to: dateOf(0), tenant, cursor }, signal });
    rows.push(...page.rows);
    cursor = page.next ?? undefined;
  } while (cursor);
  return rows;
}

const sum = (rows: UsageRow[], key: "jobs" | "succeeded" | "failed" | "cancelled" | "pictures" | "gpu_seconds") => rows.reduce((total, row) => total + row[key], 0);

function Totals({ rows }: { rows: UsageRow[] }) {
  const t = text();
  const jobs = sum(rows, "jobs");
  const failed = sum(rows, "failed");
  return (
    <dl class="totals">
      {MEASURES.map((measure) => (
        <div key={measure} class="card">
          <dt class="soft small">{t[measure]}</dt>
          <dd>{shown(sum(rows, measure), measure)}</dd>
        </div>
      ))}
      <div class="card">
        <dt class="soft small">{t.failed}</dt>
        <dd>
          {number(failed)} <span class="soft small">{failed > 0 && t.share(number((100 * failed) / jobs, 1))}</span>
        </dd>
      </div>
    </dl>
  );
}

function DayTable({ rows, period, measure, runtimes }: { rows: UsageRow[]; period: number; measure: Measure; runtimes: string[] }) {
  const t = text();
  const days = daysOf(rows, period, measure)
    .filter((day) => day.total > 0)
    .reverse();
  return (
    <div class="scrolling" tabIndex={0} role="region" aria-label={t[measure]}>
      <table class="numbers">
        <caption class="unseen">{t[measure]}</caption>
        <thead>
          <tr>
            <th scope="col">{t.day}</th>
            {runtimes.map((runtime) => (
              <th key={runtime} scope="col">
                {runtime}
              </th>
            ))}
            <th scope="col">{t.all}</th>
          </tr>
        </thead>
        <tbody>
          {days.map((day) => (
            <tr key={day.date}>
              <th scope="row">{day.date}</th>
              {runtimes.map((runtime) => (
                <td key={runtime}>{day.values[runtime] ? shown(day.values[runtime], measure) : "–"}</td>
              ))}
              <td>{shown(day.total, measure)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function RuntimeTable({ rows, runtimes }: { rows: UsageRow[]; runtimes: string[] }) {
  const t = text();
  const columns = ["jobs", "succeeded", "failed", "cancelled", "pictures"] as const;
  return (
    <section class="card">
      <div class="scrolling" tabIndex={0} role="region" aria-label={t.byRuntime}>
        <table class="numbers">
          <caption class="unseen">{t.byRuntime}</caption>
          <thead>
            <tr>
              <th scope="col">{t.runtime}</th>
              {columns.map((column) => (
                <th key={column} scope="col">
                  {t[column]}
                </th>
              ))}
              <th scope="col">{t.gpu_seconds}</th>
            </tr>
          </thead>
          <tbody>
            {runtimes.map((runtime) => {
              const its = rows.filter((row) => row.runtime === runtime);
              return (
                <tr key={runtime}>
                  <th scope="row">{runtime}</th>
                  {columns.map((column) => (
                    <td key={column}>{number(sum(its, column))}</td>
                  ))}
                  <td>{span(sum(its, "gpu_seconds"))}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}
