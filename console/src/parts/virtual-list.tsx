import type { ComponentChildren, TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props {
  label: string;
  count: number;
  /** Height of each row in pixels. */
  rowHeight: number;
  /** A row's content; its first link or button takes `tabIndex`, so that Tab stops at one row only. */
  row: (index: number, tabIndex: 0 | -1) => ComponentChildren;
  /** A row's identity, which stays with it when others come before it. */
  keyOf: (index: number) => string;
  /** Called when the reader gets near the end. */
  onNearEnd?: () => void;
  /** Called with the first and the last row in sight. */
  onSight?: (first: number, last: number) => void;
  /** Where the list was scrolled to when it was last shown, and where to remember it. */
  scroll?: { top: number };
  /** What follows the last row. */
  end?: ComponentChildren;
}

const OVERSCAN = 6;

/**
 * A list that renders only the rows in sight. Arrows, Page Up and Down, Home and End move the focus from row to row.
 *
 * The list fills its container and scrolls by itself.
 */
export function VirtualList({ label, count, rowHeight, row, keyOf, onNearEnd, onSight, scroll, end }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: scroll?.top ?? 0, height: 800 });
  const [active, setActive] = useState(0);
  const wanted = useRef<number | null>(null);

  useLayoutEffect(() => {
    const element = box.current!;
    if (scroll) element.scrollTop = scroll.top;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, [scroll]);

  const first = Math.max(0, Math.floor(view.top / rowHeight) - OVERSCAN);
  const last = Math.min(count, Math.ceil((view.top + view.height) / rowHeight) + OVERSCAN);

  useEffect(() => {
    onSight?.(Math.max(0, first + OVERSCAN), Math.max(0, last - OVERSCAN));
    if (last >= count - 20) onNearEnd?.();
  }, [first, last, count]);

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
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -count, End: count };
    const step = steps[event.key];
    if (step === undefined || !count) return;
    event.preventDefault();
    const to = Math.min(count - 1, Math.max(0, active + step));
    const element = box.current!;
    if (to * rowHeight < element.scrollTop) element.scrollTop = to * rowHeight;
    else if ((to + 1) * rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = (to + 1) * rowHeight - element.clientHeight;
    wanted.current = to;
    setActive(to);
  };

  const shown = Array.from({ length: Math.max(0, last - first) }, (_, offset) => first + offset);
  // The row that had the focus stays: a list whose focused row is taken away would drop the reader at the page's top.
  if (active < count && (active < first || active >= last)) shown.push(active);
  return (
    <div
      class="virtual"
      ref={box}
      onKeyDown={onKey}
      onScroll={(event) => {
        const { scrollTop, clientHeight } = event.currentTarget;
        if (scroll) scroll.top = scrollTop;
        setView({ top: scrollTop, height: clientHeight });
      }}
      onFocusIn={(event) => {
        const index = (event.target as HTMLElement).closest<HTMLElement>("[data-index]")?.dataset.index;
        if (index !== undefined) setActive(Number(index));
      }}
    >
      <div class="virtual-room" role="list" aria-label={label} style={{ height: `${count * rowHeight}px` }}>
        {shown.map((index) => (
          <div
            key={keyOf(index)}
            class="virtual-row"
            role="listitem"
            aria-setsize={end ? -1 : count}
            aria-posinset={index + 1}
            data-index={index}
            style={{ height: `${rowHeight}px`, transform: `translateY(${index * rowHeight}px)` }}
          >
            {row(index, index === Math.min(active, count - 1) ? 0 : -1)}
          </div>
        ))}
      </div>
      {end}
    </div>
  );
}
