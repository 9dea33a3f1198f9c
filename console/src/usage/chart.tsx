import { useState } from "preact/hooks";
import { table } from "../i18n";
import { useNarrow } from "../parts/narrow";
import { preferences } from "../preferences";
import type { Day } from "./days";

const text = table(
  { nothing: "nothing", day: (date: string, total: string, parts: string) => `${date}: ${total}${parts && ` (${parts})`}` },
  { nothing: "无", day: (date: string, total: string, parts: string) => `${date}：${total}${parts && `（${parts}）`}` },
);

const WIDTH = 1000;
const HEIGHT = 240;
/** Colours of series, in styles/tokens.css; further runtimes begin again with another pattern of the legend's order. */
const COLOURS = 6;

interface Props {
  days: Day[];
  runtimes: string[];
  /** The value at the top of the axis. */
  top: number;
  format: (value: number) => string;
  label: string;
}

/** A bar for each day, with a part for each runtime. Arrow keys go from day to day; each says what it has. */
export function Chart({ days, runtimes, top, format, label }: Props) {
  const [at, setAt] = useState(days.length - 1);
  const [isPointed, setPointed] = useState(false);
  const isNarrow = useNarrow();
  const t = text();
  const current = Math.min(at, days.length - 1);
  const day = days[current]!;
  const slot = WIDTH / days.length;
  const bar = Math.min(40, slot * 0.72);
  const parts = (one: Day) => runtimes.filter((runtime) => one.values[runtime]).map((runtime) => `${runtime} ${format(one.values[runtime]!)}`);
  const told = (one: Day) => t.day(dayName(one.date), one.total ? format(one.total) : t.nothing, runtimes.length > 1 ? parts(one).join(", ") : "");
  const onKey = (event: KeyboardEvent) => {
    const to = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: days.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(days.length - 1, to)));
  };
  const every = Math.ceil(days.length / (isNarrow ? 4 : 6));
  return (
    <figure class="chart">
      <div class="chart-plot">
        <div class="chart-axis soft numeric" aria-hidden="true">
          {[1, 0.5, 0].map((part) => (
            <span key={part}>{format(top * part)}</span>
          ))}
        </div>
        <div
          class="chart-bars"
          role="slider"
          tabIndex={0}
          aria-label={label}
          aria-valuemin={1}
          aria-valuemax={days.length}
          aria-valuenow={current + 1}
          aria-valuetext={told(day)}
          onKeyDown={onKey}
          onPointerLeave={() => setPointed(false)}
        >
          <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
            {[0.5, 1].map((part) => (
              <line key={part} class="chart-line" x1={0} x2={WIDTH} y1={HEIGHT * (1 - part)} y2={HEIGHT * (1 - part)} />
            ))}
            {days.map((one, index) => {
              let below = 0;
              return (
                <g key={one.date} onPointerEnter={() => (setAt(index), setPointed(true))}>
                  <rect class={index === current ? "chart-slot current" : "chart-slot"} x={index * slot} y={0} width={slot} height={HEIGHT} />
                  {runtimes.map((runtime, number) => {
                    const value = one.values[runtime] ?? 0;
                    const height = (value / top) * HEIGHT;
                    below += height;
                    return value > 0 && <rect key={runtime} class={`series-${number % COLOURS}`} x={index * slot + (slot - bar) / 2} y={HEIGHT - below} width={bar} height={Math.max(1, height - 1)} />;
                  })}
                </g>
              );
            })}
            <line class="chart-base" x1={0} x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
          </svg>
        </div>
        <div class="chart-days soft" aria-hidden="true">
          {days.map((one, index) => (
            <span key={one.date}>{(days.length - 1 - index) % every === 0 && <span>{dayName(one.date)}</span>}</span>
          ))}
        </div>
      </div>
      <figcaption class="chart-caption">
        <ul class="chart-legend">
          {runtimes.map((runtime, number) => (
            <li key={runtime}>
              <span class={`swatch series-${number % COLOURS}`} aria-hidden="true" />
              {runtime}
            </li>
          ))}
        </ul>
        <span class={isPointed ? "numeric" : "soft numeric"}>{told(day)}</span>
      </figcaption>
    </figure>
  );
}

function dayName(date: string): string {
  const locale = preferences.value.language === "zh" ? "zh-CN" : "en-GB";
  return new Date(`${date}T00:00:00Z`).toLocaleDateString(locale, { day: "numeric", month: "short", timeZone: "UTC" });
}
