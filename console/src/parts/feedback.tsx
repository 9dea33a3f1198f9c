import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { ApiError } from "../api/client";
import { table } from "../i18n";
import { Store, useStore } from "../store";
import { Button } from "./controls";
import { Icon, type IconName } from "./icon";

const text = table(
  {
    again: "Try again",
    unreachable: "The platform does not answer. It may be restarting, or your network may be down.",
    throttled: "Too many requests with this key at the moment. Wait a little.",
    forbidden: "This key may not do that.",
    broken: "The platform failed to answer. Its log says more.",
    unknown: "Something went wrong in this page. Reload it.",
    close: "Close",
  },
  {
    again: "重试",
    unreachable: "平台没有响应。它可能正在重启，或者网络已断开。",
    throttled: "此密钥的请求过于频繁，请稍候。",
    forbidden: "此密钥没有权限。",
    broken: "平台未能响应，详情请查看其日志。",
    unknown: "页面出错，请重新加载。",
    close: "关闭",
  },
);

/** What happened and what to do, in a sentence or two. */
export function explained(error: unknown): string {
  const t = text();
  if (!(error instanceof ApiError)) return t.unknown;
  if (error.status === 0) return t.unreachable;
  if (error.status === 429) return error.code === "throttled" ? t.throttled : error.message;
  if (error.status === 403) return error.message || t.forbidden;
  if (error.status >= 500) return error.code === "unavailable" && error.message ? error.message : t.broken;
  return error.message || `HTTP ${error.status}`;
}

/** An error in place of what it kept from being shown. */
export function ErrorNote({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const fields = error instanceof ApiError ? error.errors : [];
  return (
    <div class="note bad" role="alert">
      <Icon name="warning" />
      <div class="note-body">
        <p>{explained(error)}</p>
        {fields.length > 0 && (
          <ul>
            {fields.map((field) => (
              <li key={field.pointer}>
                <code>{field.pointer}</code> {field.detail}
              </li>
            ))}
          </ul>
        )}
      </div>
      {onRetry && <Button onClick={onRetry}>{text().again}</Button>}
    </div>
  );
}

/** What stands where there is nothing yet, and what to do about it. */
export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} size={28} />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Grey bars in the place of lines that load. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div class="skeleton" aria-hidden="true">
      {Array.from({ length: lines }, (_, number) => (
        <div key={number} class={`bone w${number % 3}`} />
      ))}
    </div>
  );
}

interface Toast {
  number: number;
  text: string;
  isError: boolean;
}

const toast = new Store<Toast | null>(null);
let count = 0;

/** Say in passing what was done, or why it was not. */
export function say(what: string): void {
  toast.set({ number: ++count, text: what, isError: false });
}

export function sayError(error: unknown): void {
  const first = error instanceof ApiError ? error.errors[0] : undefined;
  toast.set({ number: ++count, text: explained(error) + (first ? ` ${first.pointer} ${first.detail}` : ""), isError: true });
}

export function Toasts() {
  const shown = useStore(toast);
  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => toast.set(null), shown.isError ? 12_000 : 4000);
    return () => clearTimeout(timer);
  }, [shown?.number]);
  return (
    <div class="toasts" role="status">
      {shown && (
        <div class={shown.isError ? "toast bad" : "toast"} key={shown.number}>
          <Icon name={shown.isError ? "warning" : "check"} />
          <span>{shown.text}</span>
          <Button kind="quiet" icon="close" label={text().close} onClick={() => toast.set(null)} />
        </div>
      )}
    </div>
  );
}
