import { preferences } from "./preferences";

/** The texts of a view in both languages; call the result for those of the language in use. */
export function table<T>(en: T, zh: NoInfer<T>): () => T {
  return () => (preferences.value.language === "zh" ? zh : en);
}

const common = table(
  {
    justNow: "now",
    seconds: (n: string) => `${n} s`,
    minutes: (n: number, s: number) => (s ? `${n} min ${s} s` : `${n} min`),
    hours: (n: number, m: number) => (m ? `${n} h ${m} min` : `${n} h`),
    days: (n: number) => `${n} d`,
    ago: (span: string) => `${span} ago`,
  },
  {
    justNow: "刚刚",
    seconds: (n: string) => `${n} 秒`,
    minutes: (n: number, s: number) => (s ? `${n} 分 ${s} 秒` : `${n} 分钟`),
    hours: (n: number, m: number) => (m ? `${n} 小时 ${m} 分` : `${n} 小时`),
    days: (n: number) => `${n} 天`,
    ago: (span: string) => `${span}前`,
  },
);

const locale = () => (preferences.value.language === "zh" ? "zh-CN" : "en-GB");

/** A span of time, such as "2.4 s" or "3 min 20 s". */
export function span(seconds: number): string {
  const t = common();
  if (seconds < 10) return t.seconds(seconds === 0 ? "0" : seconds < 0.05 ? "< 0.1" : seconds.toFixed(1));
  const whole = Math.round(seconds);
  if (whole < 60) return t.seconds(String(whole));
  if (whole < 3600) return t.minutes(Math.floor(whole / 60), whole < 600 ? whole % 60 : 0);
  const minutes = Math.round(whole / 60);
  if (minutes < 48 * 60) return t.hours(Math.floor(minutes / 60), minutes % 60);
  return t.days(Math.round(minutes / 1440));
}

/** How long ago a time was: "now", "3 min ago"; from two days on the date. */
export function ago(time: string, now = Date.now()): string {
  const seconds = (now - Date.parse(time)) / 1000;
  if (seconds < 5) return common().justNow;
  if (seconds > 48 * 3600) return new Date(time).toLocaleDateString(locale(), { day: "numeric", month: "short" });
  const whole = seconds < 60 ? seconds : seconds < 3600 ? seconds - (seconds % 60) : seconds - (seconds % 3600);
  return common().ago(span(Math.max(10, whole)));
}

/** A time, in the reader's own zone. */
export function moment(time: string): string {
  return new Date(time).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "medium" });
}

export function number(value: number, digits = 0): string {
  return value.toLocaleString(locale(), { maximumFractionDigits: digits });
}

/** A size of a file. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  return value < 1e6 ? `${number(value / 1e3)} kB` : `${number(value / 1e6, 1)} MB`;
}
