import type { UsageRow } from "../api/types";

export interface Day {
  /** Such as 2026-01-31, in UTC. */
  date: string;
  /** By runtime. */
  values: Record<string, number>;
  total: number;
}

type Measure = "jobs" | "pictures" | "gpu_seconds";

/** The date some days ago, in UTC. */
export function dateOf(daysAgo: number, now = Date.now()): string {
  return new Date(now - daysAgo * 86_400_000).toISOString().slice(0, 10);
}

/** Each day of a period that ends today, the oldest first, with what was used on it. */
export function daysOf(rows: UsageRow[], period: number, measure: Measure): Day[] {
  const days = Array.from({ length: period }, (_, index): Day => ({ date: dateOf(period - 1 - index), values: {}, total: 0 }));
  const byDate = new Map(days.map((day) => [day.date, day]));
  for (const row of rows) {
    const day = byDate.get(row.day ?? "");
    if (!day) continue; // the day has ended since
    day.values[row.runtime] = (day.values[row.runtime] ?? 0) + row[measure];
    day.total += row[measure];
  }
  return days;
}

const STEPS = [1, 2, 4, 6, 8, 10];

/** The end of an axis that has a round number of a measure at its top. */
export function topOf(rows: UsageRow[], measure: Measure): number {
  const totals = new Map<string, number>();
  for (const row of rows) totals.set(row.day ?? "", (totals.get(row.day ?? "") ?? 0) + row[measure]);
  const most = Math.max(1, ...totals.values());
  if (measure === "gpu_seconds") {
    const unit = most > 86_400 ? 86_400 : most > 3600 ? 3600 : most > 60 ? 60 : 1;
    return unit * round(most / unit);
  }
  return Math.max(4, round(most));
}

function round(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * STEPS.find((step) => step * power >= value)!;
}
