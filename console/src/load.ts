import { useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  /** Load again now. */
  reload: () => void;
}

/**
 * Load data when a component appears and when `deps` change, and every so often while the page is visible.
 *
 * The last data stays while newer data loads, or fails to. `load` gets a signal that ends with the component.
 */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, deps: unknown[], everyS = 0): Loaded<T> {
  const [state, setState] = useState<{ data?: T; error?: unknown }>({});
  const [count, setCount] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const key = JSON.stringify(deps);
  const shown = useRef(key);
  useEffect(() => {
    const end = new AbortController();
    let timer = 0;
    if (shown.current !== key) setState({});
    shown.current = key;
    const again = () => {
      clearTimeout(timer);
      if (end.signal.aborted || !everyS) return;
      timer = window.setTimeout(run, everyS * 1000);
    };
    const run = async () => {
      if (document.hidden && shown.current === key && timer) return again();
      try {
        const data = await latest.current(end.signal);
        if (!end.signal.aborted) setState({ data });
      } catch (error) {
        if (!end.signal.aborted) setState((before) => ({ ...before, error }));
      }
      again();
    };
    const onVisible = () => {
      if (!document.hidden && everyS) void run();
    };
    void run();
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      end.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [key, count, everyS]);
  return { data: state.data, error: state.error, reload: () => setCount(count + 1) };
}
