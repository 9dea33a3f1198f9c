import { useEffect } from "preact/hooks";
import { ago, moment } from "../i18n";
import { Store, useStore } from "../store";

const now = new Store(Date.now());
let users = 0;
let timer = 0;

/** The time, once a second, while somebody looks at it. */
export function useNow(): number {
  useEffect(() => {
    users++;
    if (users === 1) timer = window.setInterval(() => now.set(Date.now()), 1000);
    return () => {
      users--;
      if (!users) clearInterval(timer);
    };
  }, []);
  return useStore(now);
}

/** How long ago a time was; the time itself on a pointer's rest. */
export function Ago({ time }: { time: string }) {
  return (
    <time dateTime={time} title={moment(time)}>
      {ago(time, useNow())}
    </time>
  );
}
