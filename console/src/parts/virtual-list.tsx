import type { ComponentChildren, TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props {
  label: string;
  count: number;
  /** Height of each row in pixels, from the width of a column. */
  rowHeight: (columnPx: number) => number;
  /** As many columns as this width fits in; without it there is one. */
  minColumnPx?: number;
  /** An item's content; its first link or button takes `tabIndex`, so that Tab stops at one item only. */
  item: (index: number, tabIndex: 0 | -1) => ComponentChildren;
  /** An item's identity, which stays with it when others come before it. */
  keyOf: (index: number) => string;
  /** Called when the reader gets near the end. */
  onNearEnd?: () => void;
  /** Called with the first and the last item in sight. */
  onSight?: (first: number, last: number) => void;
  /** Where the list was scrolled to when it was last shown, and where to remember it. */
  scroll?: { top: number };
  /** What follows the last item. */
  end?: ComponentChildren;
}

const OVERSCAN_ROWS = 4;
const NEAR_END_ROWS = 15;

/**
 * A list or a grid that renders only what is in sight. Arrows, Page Up and Down, Home and End move the focus.
 *
 * It fills its container and scrolls by itself.
 */
export function VirtualList({ label, count, rowHeight, minColumnPx, item, keyOf, onNearEnd, onSight, scroll, end }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: scroll?.top ?? 0, height: 800, width: 800 });
  const [active, setActive] = useState(0);
  const wanted = useRef<number | null>(null);

  const columns = minColumnPx ? Math.max(1, Math.floor(view.width / minColumnPx)) : 1;
  const rowPx = rowHeight(view.width / columns);
  const rows = Math.ceil(count / columns);

  useLayoutEffect(() => {
    const element = box.current!;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight, width: element.clientWidth });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    if (scroll) element.scrollTop = scroll.top;
    return () => observer.disconnect();
  }, [scroll]);

  const firstSeen = Math.floor(view.top / rowPx);
  const lastSeen = Math.ceil((view.top + view.height) / rowPx);
  const first = Math.max(0, firstSeen - OVERSCAN_ROWS) * columns;
  const last = Math.min(count, (lastSeen + OVERSCAN_ROWS) * columns);

  useEffect(() => {
    onSight?.(firstSeen * columns, lastSeen * columns);
    if (lastSeen >= rows - NEAR_END_ROWS) onNearEnd?.();
  }, [firstSeen, lastSeen, count]);

  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const found = box.current!.querySelector<HTMLElement>(`[data-index="${wanted.current}"] :is(a, button)`);
    if (found) {
      wanted.current = null;
      found.focus({ preventScroll: true });
    }
  });

  const onKey = (event: TargetedKeyboardEvent<HTMLDivElement>) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(view.height / rowPx) - 1) * columns;
    const steps: Record<string, number> = { ArrowDown: columns, j: columns, ArrowUp: -columns, k: -columns, PageDown: page, PageUp: -page, Home: -count, End: count };
    if (columns > 1) Object.assign(steps, { ArrowRight: 1, ArrowLeft: -1 });
    const step = steps[event.key];
    if (step === undefined || !count) return;
    event.preventDefault();
    const to = Math.min(count - 1, Math.max(0, active + step));
    const top = Math.floor(to / columns) * rowPx;
    const element = box.current!;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowPx > element.scrollTop + element.clientHeight) element.scrollTop = top + rowPx - element.clientHeight;
    wanted.current = to;
    setActive(to);
  };

  const shown = Array.from({ length: Math.max(0, last - first) }, (_, offset) => first + offset);
  // The item that had the focus stays: without it the reader would be dropped at the page's top.
  if (active < count && (active < first || active >= last)) shown.push(active);
  const tabStop = Math.min(active, count - 1);
  return (
    <div
      class="virtual"
      ref={box}
      onKeyDown={onKey}
      onScroll={(event) => {
        const { scrollTop, clientHeight, clientWidth } = event.currentTarget;
        if (scroll) scroll.top = scrollTop;
        setView({ top: scrollTop, height: clientHeight, width: clientWidth });
      }}
      onFocusIn={(event) => {
        const index = (event.target as HTMLElement).closest<HTMLElement>("[data-index]")?.dataset.index;
        if (index !== undefined) setActive(Number(index));
      }}
    >
      <div class="virtual-room" role="list" aria-label={label} style={{ height: `${rows * rowPx}px` }}>
        {shown.map((index) => (
          <div
            key={keyOf(index)}
            class="virtual-item"
            role="listitem"
            aria-setsize={end ? -1 : count}
            aria-posinset={index + 1}
            data-index={index}
            style={{
              width: `${100 / columns}%`,
              height: `${rowPx}px`,
              transform: `translate(${(index % columns) * 100}%, ${Math.floor(index / columns) * rowPx}px)`,
            }}
          >
            {item(index, index === tabStop ? 0 : -1)}
          </div>
        ))}
      </div>
      {end}
    </div>
  );
}
