import "./webhooks.css";
import { useEffect, useState } from "preact/hooks";
import { ApiError, call } from "../api/client";
import type { Delivery } from "../api/types";
import { moment, number, span, table } from "../i18n";
import { shortId } from "../jobs/names";
import { useLoad } from "../load";
import { Button, Field } from "../parts/controls";
import { CopyButton } from "../parts/copy";
import { Empty, ErrorNote, say, sayError, Skeleton } from "../parts/feedback";
import { Icon, type IconName } from "../parts/icon";
import { Ago } from "../parts/time";
import { href, replace, type Route } from "../routes";

const text = table(
  {
    title: "Webhooks",
    off: "Webhooks are switched off",
    offHint: (
      <>
        The setting <code>webhooks.enabled</code> in config.yaml switches them on.
      </>
    ),
    secret: "Signing secret",
    secretHint: "Receivers verify with it that a webhook comes from this platform. Any Standard Webhooks library can do that.",
    show: "Show",
    hide: "Hide",
    copy: "Copy the secret",
    rotate: "Rotate",
    sure: "Replace the secret? For a day, webhooks are signed with both; then receivers need the new one.",
    doIt: "Replace it",
    leave: "Leave it",
    rotated: "The secret was replaced",
    both: (time: string) => `Until ${time}, webhooks are also signed with the previous secret.`,
    deliveries: "Deliveries",
    job: "Job",
    jobHint: "The id of a job. Default: all of the last seven days.",
    all: "Show all",
    none: "No webhooks in the last seven days",
    noneHint: (
      <>
        A job with <code>{'"webhook": {"url": "https://…"}'}</code> tells that address when it ends.
      </>
    ),
    ofJob: "This job has sent no webhooks",
    missing: "There is no such job.",
    more: "Older ones",
    replay: "Send again",
    replayed: "It is sent again now",
    event: { started: "Started", progress: "Progress", output: "Output", completed: "Completed" },
    state: { delivered: "Delivered", waiting: "Waiting", failed: "Failed" },
    attempts: (n: number) => (n === 1 ? "1 attempt" : `${number(n)} attempts`),
    next: (time: string) => `next attempt in ${time}`,
    soon: "next attempt now",
    never: "Progress is never sent again",
  },
  {
    title: "Webhook",
    off: "Webhook 已关闭",
    offHint: (
      <>
        config.yaml 中的 <code>webhooks.enabled</code> 可将其开启。
      </>
    ),
    secret: "签名密钥",
    secretHint: "接收方用它验证 Webhook 来自此平台。任何 Standard Webhooks 库都可以做到。",
    show: "显示",
    hide: "隐藏",
    copy: "复制密钥",
    rotate: "轮换",
    sure: "要替换密钥吗？一天之内 Webhook 会用新旧两个密钥签名，之后接收方需要新密钥。",
    doIt: "替换",
    leave: "保留",
    rotated: "密钥已替换",
    both: (time: string) => `在 ${time} 之前，Webhook 也用旧密钥签名。`,
    deliveries: "投递记录",
    job: "任务",
    jobHint: "任务的 ID。默认：最近七天的全部。",
    all: "显示全部",
    none: "最近七天没有 Webhook",
    noneHint: (
      <>
        带有 <code>{'"webhook": {"url": "https://…"}'}</code> 的任务结束时会通知该地址。
      </>
    ),
    ofJob: "此任务没有发送 Webhook",
    missing: "没有此任务。",
    more: "更早的",
    replay: "重新发送",
    replayed: "正在重新发送",
    event: { started: "开始", progress: "进度", output: "结果", completed: "完成" },
    state: { delivered: "已送达", waiting: "等待中", failed: "失败" },
    attempts: (n: number) => `${number(n)} 次尝试`,
    next: (time: string) => `${time}后再次尝试`,
    soon: "即将再次尝试",
    never: "进度不会重新发送",
  },
);

interface Secret {
  secret: string;
  version: number;
  previous_until: string | null;
}

/** What was told to whom: the deliveries of webhooks, and the secret that signs them. The query of the address has a job. */
export function Webhooks({ route }: { route: Route }) {
  const job = route.query.get("job") ?? "";
  const [isOff, setOff] = useState(false);
  const t = text();
  if (isOff) {
    return (
      <Empty icon="webhooks" title={t.off}>
        <p>{t.offHint}</p>
      </Empty>
    );
  }
  return (
    <div class="page webhooks">
      <h1 tabIndex={-1}>{t.title}</h1>
      <SecretCard />
      <Deliveries key={job} job={job} onOff={() => setOff(true)} />
    </div>
  );
}

/** The secret, which is fetched when a reader asks for it and forgotten when the reader hides it or leaves. */
function SecretCard() {
  const [secret, setSecret] = useState<Secret>();
  const [isAsked, setAsked] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const t = text();
  const fetchIt = async (method: string, path: string) => {
    setBusy(true);
    try {
      setSecret(await call<Secret>(method, path));
      if (method === "POST") say(t.rotated);
    } catch (error) {
      sayError(error);
    }
    setAsked(false);
    setBusy(false);
  };
  return (
    <section class="card secret">
      <div class="secret-head">
        <div>
          <h2>{t.secret}</h2>
          <p class="soft small">{t.secretHint}</p>
        </div>
        <span class="secret-actions">
          <Button busy={isBusy} onClick={() => (secret ? setSecret(undefined) : void fetchIt("GET", "webhooks/secret"))}>
            {secret ? t.hide : t.show}
          </Button>
          <Button icon="retry" pressed={isAsked} onClick={() => setAsked(!isAsked)}>
            {t.rotate}
          </Button>
        </span>
      </div>
      {isAsked && (
        <div class="note warn">
          <Icon name="warning" />
          <div class="note-body">{t.sure}</div>
          <Button kind="danger" busy={isBusy} onClick={() => void fetchIt("POST", "webhooks/secret/rotate")}>
            {t.doIt}
          </Button>
          <Button kind="quiet" onClick={() => setAsked(false)}>
            {t.leave}
          </Button>
        </div>
      )}
      {secret && (
        <>
          <div class="secret-value">
            <code>{secret.secret}</code>
            <CopyButton value={() => secret.secret} label={t.copy} />
          </div>
          {secret.previous_until && <p class="soft small">{t.both(moment(secret.previous_until))}</p>}
        </>
      )}
    </section>
  );
}

interface Page {
  deliveries: Delivery[];
  next: string | null;
}

function Deliveries({ job, onOff }: { job: string; onOff: () => void }) {
  const [older, setOlder] = useState<Page>();
  const [wanted, setWanted] = useState(job);
  const load = (cursor?: string, signal?: AbortSignal) => call<Page>("GET", "webhooks/deliveries", { query: { job, cursor }, ...(signal && { signal }) });
  const { data, error, reload } = useLoad((signal) => load(undefined, signal), [job], 5);
  const t = text();
  const status = error instanceof ApiError ? error.status : 0;
  const isOff = status === 404 && !job;
  useEffect(() => void (isOff && onOff()), [isOff]);
  const next = older ? older.next : (data?.next ?? null);
  const more = async () => {
    try {
      const page = await withSome((cursor) => load(cursor), next!);
      setOlder({ deliveries: [...(older?.deliveries ?? []), ...page.deliveries], next: page.next });
    } catch (problem) {
      sayError(problem);
    }
  };
  // A page may be empty although older jobs have webhooks.
  useEffect(() => {
    if (data && !data.deliveries.length && data.next && !older) void more();
  }, [data]);
  const seen = new Set(data?.deliveries.map((one) => one.id));
  const all = [...(data?.deliveries ?? []), ...(older?.deliveries ?? []).filter((one) => !seen.has(one.id))];
  return (
    <section class="card deliveries">
      <div class="deliveries-head">
        <h2>{t.deliveries}</h2>
        <form onSubmit={(event) => (event.preventDefault(), replace(["webhooks"], { job: wanted.trim() }))}>
          <Field label={t.job} hint={t.jobHint} error={status === 404 && job ? t.missing : undefined}>
            {(ids) => <input {...ids} type="search" class="mono" autocomplete="off" spellcheck={false} value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} onBlur={() => wanted.trim() !== job && replace(["webhooks"], { job: wanted.trim() })} />}
          </Field>
        </form>
      </div>
      {Boolean(error) && status !== 404 && <ErrorNote error={error} onRetry={reload} />}
      {!data && !error && <Skeleton lines={4} />}
      {data && !all.length && next === null && (
        <Empty icon="webhooks" title={job ? t.ofJob : t.none}>
          <p>{t.noneHint}</p>
        </Empty>
      )}
      <ul>
        {all.map((one) => (
          <Row key={one.id} delivery={one} onReplayed={reload} />
        ))}
      </ul>
      {next !== null && all.length > 0 && (
        <p class="list-end">
          <Button kind="quiet" onClick={() => void more()}>
            {t.more}
          </Button>
        </p>
      )}
      {job && (
        <p class="list-end small">
          <a href={href(["webhooks"])}>{t.all}</a>
        </p>
      )}
    </section>
  );
}

const MAX_EMPTY_PAGES = 20;

/** The next page that has deliveries, or the last one. */
async function withSome(load: (cursor: string) => Promise<Page>, cursor: string): Promise<Page> {
  for (let number = 1; ; number++) {
    const page = await load(cursor);
    if (page.deliveries.length || page.next === null || number === MAX_EMPTY_PAGES) return page;
    cursor = page.next;
  }
}

const SIGNS: Record<Delivery["state"], { icon: IconName; badge: string }> = {
  delivered: { icon: "check", badge: "succeeded" },
  waiting: { icon: "clock", badge: "queued" },
  failed: { icon: "cross", badge: "failed" },
};

function untilOf(time: string): string {
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  return seconds < 1 ? text().soon : text().next(span(seconds));
}

function Row({ delivery, onReplayed }: { delivery: Delivery; onReplayed: () => void }) {
  const { id, job, event, state, attempts, status, problem, sent_at, next_at } = delivery;
  const [isBusy, setBusy] = useState(false);
  const t = text();
  const replay = async () => {
    setBusy(true);
    try {
      await call("POST", `webhooks/deliveries/${encodeURIComponent(id)}/replay`, { body: {} });
      say(t.replayed);
      onReplayed();
    } catch (error) {
      sayError(error);
    }
    setBusy(false);
  };
  const what = [status === null ? "" : `HTTP ${status}`, t.attempts(attempts)].filter(Boolean).join(" · ");
  return (
    <li class="delivery">
      <span class={`badge ${SIGNS[state].badge}`}>
        <Icon name={SIGNS[state].icon} size={12} />
        {t.state[state]}
      </span>
      <span class="delivery-what">
        <span>
          <b>{t.event[event]}</b>{" "}
          <a href={href(["jobs", job])} title={job}>
            {shortId(job)}
          </a>
        </span>
        <span class="soft small">
          {what} · <Ago time={sent_at} />
          {next_at && <> · {untilOf(next_at)}</>}
        </span>
        {problem && <span class="bad-text small">{problem}</span>}
      </span>
      {event !== "progress" ? (
        <Button icon="retry" kind="quiet" busy={isBusy} label={`${t.replay}: ${t.event[event]} ${shortId(job)}`} onClick={() => void replay()} />
      ) : (
        <span class="soft small" title={t.never} />
      )}
    </li>
  );
}
