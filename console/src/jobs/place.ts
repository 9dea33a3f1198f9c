import type { Job } from "../api/types";
import { number, span, table } from "../i18n";

const text = table(
  {
    next: "Next",
    ahead: (n: string) => `${n} ahead`,
    many: "More than 1000 ahead",
    waits: "start not known yet",
    starts: (time: string) => `starts in ${time}`,
    soon: "starts at once",
  },
  {
    next: "下一个",
    ahead: (n: string) => `前面还有 ${n} 个`,
    many: "前面超过 1000 个",
    waits: "开始时间未知",
    starts: (time: string) => `约 ${time}后开始`,
    soon: "可立即开始",
  },
);

/** When a job starts that has so many seconds to wait. */
export function startOf(eta_s: number): string {
  return eta_s < 1 ? text().soon : text().starts(span(eta_s));
}

/** A waiting job's place in its queue, and when it starts; "" before that is known. */
export function placeOf(job: Pick<Job, "queue">): string {
  const t = text();
  if (!job.queue) return "";
  const { position, eta_s } = job.queue;
  const where = position === null ? t.many : position === 0 ? t.next : t.ahead(number(position));
  return `${where} · ${eta_s === null ? t.waits : startOf(eta_s)}`;
}
