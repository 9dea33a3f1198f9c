import "./servers.css";
import { useState } from "preact/hooks";
import { call } from "../api/client";
import type { Runtime, RuntimeDetails } from "../api/types";
import { number, span, table } from "../i18n";
import { startOf } from "../jobs/place";
import { useLoad } from "../load";
import { Button, LinkButton } from "../parts/controls";
import { ErrorNote, Skeleton } from "../parts/feedback";
import { Icon } from "../parts/icon";
import { href } from "../routes";
import { dotOf, isStuck, stuckFirst, typeName } from "../runtimes";

const text = table(
  {
    title: "Model servers",
    none: "No server is ready",
    queued: "Queued",
    running: "Running",
    servers: "Servers",
    each: "A job takes",
    starts: "A new job",
    waits: "waits for a server",
    stuck: (n: string) => `${n} jobs wait, and no server takes them.`,
    one: "1 job waits, and no server takes it.",
    stuckHint: (
      <>
        If the runtime is scaled to zero, a server is starting; that takes some minutes. Otherwise the server has died or its agent cannot reach it. Beside <code>make up</code>, see its log in the folder that was printed; on AWS, see
        the pods: <code>kubectl get pods -A</code>.
      </>
    ),
    idle: "No job waits. If the runtime is scaled to zero, the next job starts a server; that takes some minutes.",
    jobs: "Its jobs",
    request: "New request",
    has: "What its servers have",
    hide: "Less",
    notLive: "From the configuration, as no server reports what it has.",
    find: "Find",
    nothing: "Nothing of this name.",
    lists: {
      models: "Models",
      loras: "LoRAs",
      vaes: "VAEs",
      samplers: "Samplers",
      schedulers: "Schedulers",
      upscalers: "Upscalers",
      node_classes: "Node classes",
    },
  },
  {
    title: "模型服务器",
    none: "没有就绪的服务器",
    queued: "排队",
    running: "运行",
    servers: "服务器",
    each: "每个任务",
    starts: "新任务",
    waits: "等待服务器",
    stuck: (n: string) => `${n} 个任务在等待，但没有服务器处理。`,
    one: "1 个任务在等待，但没有服务器处理。",
    stuckHint: (
      <>
        如果该运行时已缩容到零，服务器正在启动，需要几分钟。否则服务器已停止，或其代理无法访问它。使用 <code>make up</code> 时，请查看所显示文件夹中的日志；在 AWS 上请查看 Pod：<code>kubectl get pods -A</code>。
      </>
    ),
    idle: "没有任务在等待。如果该运行时已缩容到零，下一个任务会启动服务器，需要几分钟。",
    jobs: "其任务",
    request: "新请求",
    has: "服务器上的内容",
    hide: "收起",
    notLive: "来自配置，因为没有服务器报告其内容。",
    find: "查找",
    nothing: "没有此名称。",
    lists: {
      models: "模型",
      loras: "LoRA",
      vaes: "VAE",
      samplers: "采样器",
      schedulers: "调度器",
      upscalers: "放大模型",
      node_classes: "节点类",
    },
  },
);

const LISTS = ["models", "loras", "vaes", "samplers", "schedulers", "upscalers", "node_classes"] as const;

/** The model servers of each runtime: how busy they are, what they have, and which are missing. */
export function Servers() {
  const { data, error, reload } = useLoad((signal) => call<{ runtimes: Runtime[] }>("GET", "runtimes", { signal }), [], 5);
  const t = text();
  const runtimes = stuckFirst(data?.runtimes ?? []);
  return (
    <div class="page servers">
      <h1 tabIndex={-1}>{t.title}</h1>
      {Boolean(error) && <ErrorNote error={error} onRetry={reload} />}
      {!data && !error && <Skeleton lines={8} />}
      {runtimes.map((runtime) => (
        <Server key={runtime.name} runtime={runtime} />
      ))}
    </div>
  );
}

function Server({ runtime }: { runtime: Runtime }) {
  const [isOpen, setOpen] = useState(false);
  const { name, type, queued, running, ready_servers, seconds_a_job, eta_s } = runtime;
  const t = text();
  const stuck = isStuck(runtime);
  const waiting = queued === null ? "1000+" : number(queued);
  return (
    <section class={stuck ? "card server stuck" : "card server"} aria-label={name}>
      <header class="server-head">
        <span class={dotOf(runtime)} aria-hidden="true" />
        <h2>{name}</h2>
        <span class="soft small">{typeName(type)}</span>
        {!ready_servers && <span class={stuck ? "bad-text small" : "soft small"}>{t.none}</span>}
        <span class="server-actions">
          <LinkButton href={href(["jobs"], { runtime: name })} kind="quiet" icon="jobs">
            {t.jobs}
          </LinkButton>
          <LinkButton href={href(["new"], { runtime: name })} kind="quiet" icon="add">
            {t.request}
          </LinkButton>
        </span>
      </header>
      {stuck && (
        <div class="note bad" role="alert">
          <Icon name="warning" />
          <div class="note-body">
            <p>
              <b>{queued === 1 ? t.one : t.stuck(waiting)}</b>
            </p>
            <p>{t.stuckHint}</p>
          </div>
        </div>
      )}
      {!stuck && !ready_servers && <p class="soft small">{t.idle}</p>}
      <dl class="figures">
        <Figure name={t.queued} value={waiting} />
        <Figure name={t.running} value={number(running)} />
        <Figure name={t.servers} value={number(ready_servers)} />
        <Figure name={t.each} value={seconds_a_job === null ? "–" : span(seconds_a_job)} />
        <Figure name={t.starts} value={!ready_servers ? t.waits : eta_s === null ? "–" : startOf(eta_s)} />
      </dl>
      <details class="server-has" onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{t.has}</summary>
        {isOpen && <Contents name={name} />}
      </details>
    </section>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt class="soft small">{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

const MANY = 12;

function Contents({ name }: { name: string }) {
  const { data, error, reload } = useLoad((signal) => call<RuntimeDetails>("GET", `runtimes/${encodeURIComponent(name)}`, { signal }), [name]);
  const [wanted, setWanted] = useState("");
  const t = text();
  if (!data) return error ? <ErrorNote error={error} onRetry={reload} /> : <Skeleton lines={3} />;
  const lists = LISTS.map((list) => ({ list, names: data[list] ?? [] })).filter(({ names }) => names.length > 0);
  const count = lists.reduce((sum, { names }) => sum + names.length, 0);
  const found = lists.map(({ list, names }) => ({ list, names: names.filter((one) => one.toLowerCase().includes(wanted.toLowerCase())) })).filter(({ names }) => names.length > 0);
  return (
    <div class="contents">
      {!data.is_live && <p class="soft small">{t.notLive}</p>}
      {count > MANY && <input type="search" aria-label={t.find} placeholder={t.find} value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />}
      {found.map(({ list, names }) => (
        <div key={list}>
          <h3>
            {t.lists[list]} <span class="soft numeric">{number(names.length)}</span>
          </h3>
          <Names names={names} />
        </div>
      ))}
      {count > 0 && !found.length && <p class="soft small">{t.nothing}</p>}
    </div>
  );
}

/** Names, the first of very many until a reader asks for all. */
function Names({ names }: { names: string[] }) {
  const [isAll, setAll] = useState(false);
  const t = text();
  const shown = isAll ? names : names.slice(0, MANY);
  return (
    <ul class="names">
      {shown.map((one) => (
        <li key={one}>
          <code>{one}</code>
        </li>
      ))}
      {names.length > MANY && (
        <li>
          <Button kind="quiet" onClick={() => setAll(!isAll)}>
            {isAll ? t.hide : `+ ${number(names.length - MANY)}`}
          </Button>
        </li>
      )}
    </ul>
  );
}
