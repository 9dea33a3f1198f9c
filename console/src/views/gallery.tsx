import "./gallery.css";
import { useEffect, useState } from "preact/hooks";
import { call } from "../api/client";
import type { Job, Output, Runtime } from "../api/types";
import { number, table } from "../i18n";
import { jobList } from "../jobs/job-list";
import { nameOf } from "../jobs/names";
import { aboutOutput } from "../jobs/results";
import { ALL, KeyChoice, keyName, ownKey } from "../keys";
import { useLoad } from "../load";
import { Button, LinkButton } from "../parts/controls";
import { Empty, ErrorNote, Skeleton } from "../parts/feedback";
import { Lightbox } from "../parts/lightbox";
import { Thumbnail } from "../parts/thumbnail";
import { VirtualList } from "../parts/virtual-list";
import { href, replace, type Route } from "../routes";
import { useStore } from "../store";

const text = table(
  {
    title: "Gallery",
    runtime: "Runtime",
    all: "All runtimes",
    list: "Pictures, newest first",
    picture: (n: number, of: string) => `Picture ${n} of ${of}`,
    choose: "Choose for comparison (c)",
    unchoose: "Do not compare (c)",
    chosen: "One picture chosen. Choose another one to compare them.",
    both: "Two pictures chosen.",
    compare: "Compare",
    clear: "Clear",
    open: "To the job",
    none: "No pictures yet",
    noneHint: (
      <>
        Pictures of jobs that have succeeded appear here. Start with <a href="#/new">a new request</a>.
      </>
    ),
    more: "Loading more …",
    all_: (n: string) => `${n} in all`,
  },
  {
    title: "图库",
    runtime: "运行时",
    all: "所有运行时",
    list: "图片，最新的在前",
    picture: (n: number, of: string) => `${of} 的第 ${n} 张图片`,
    choose: "选择以比较（c）",
    unchoose: "取消比较（c）",
    chosen: "已选一张图片，再选一张即可比较。",
    both: "已选两张图片。",
    compare: "比较",
    clear: "清除",
    open: "前往任务",
    none: "还没有图片",
    noneHint: (
      <>
        成功任务的图片会显示在这里。从<a href="#/new">新请求</a>开始。
      </>
    ),
    more: "正在加载更多……",
    all_: (n: string) => `共 ${n} 张`,
  },
);

interface Picture {
  /** JOB.N: the address of the picture in the comparison. */
  id: string;
  job: Job;
  number: number;
  output: Output;
}

const CELL_PX = 190;
const CAPTION_PX = 46;

/** All pictures, newest first. Two can be chosen for a comparison. */
export function Gallery({ route }: { route: Route }) {
  const own = useStore(ownKey);
  const runtime = route.query.get("runtime") ?? "";
  const chosen = route.query.get("tenant") ?? "";
  const t = text();
  return (
    <div class="page filling gallery">
      <div class="page-head">
        <h1 tabIndex={-1}>{t.title}</h1>
        <KeyChoice value={chosen || ALL} onChoose={(tenant) => replace(["gallery"], { runtime, tenant: tenant === ALL ? "" : tenant })} />
        <RuntimeChoice value={runtime} onChoose={(name) => replace(["gallery"], { runtime: name, tenant: chosen })} />
      </div>
      {own ? <Pictures key={`${runtime} ${chosen}`} runtime={runtime} tenant={own.role === "admin" ? chosen || ALL : ""} /> : <Skeleton lines={6} />}
    </div>
  );
}

function Pictures({ runtime, tenant }: { runtime: string; tenant: string }) {
  const list = jobList({ state: "succeeded", runtime, task_id: "", tenant });
  const { jobs, next, isReady, error } = useStore(list);
  const [open, setOpen] = useState<string>();
  const [chosen, setChosen] = useState<string[]>([]);
  const t = text();
  useEffect(() => {
    const end = new AbortController();
    void list.keepCurrent(end.signal);
    return () => end.abort();
  }, [list]);
  const pictures = jobs.flatMap((job) => job.images.map((output, index): Picture => ({ id: `${job.job}.${index + 1}`, job, number: index + 1, output })));
  const at = pictures.findIndex((one) => one.id === open);
  const shown = pictures[at];
  const step = (to: number) => (pictures[to] ? () => setOpen(pictures[to]!.id) : undefined);
  // A third choice takes the place of the second.
  const choose = (id: string) => setChosen(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen.slice(0, 1), id]);
  return (
    <>
      {Boolean(error) && <ErrorNote error={error} onRetry={() => void list.more()} />}
      {!isReady && !error && <Skeleton lines={6} />}
      {isReady && !pictures.length && next === null && (
        <Empty icon="gallery" title={t.none}>
          <p>{t.noneHint}</p>
        </Empty>
      )}
      {(pictures.length > 0 || (isReady && next !== null)) && (
        <VirtualList
          label={t.list}
          count={pictures.length}
          minColumnPx={CELL_PX}
          rowHeight={(columnPx) => columnPx + CAPTION_PX}
          keyOf={(index) => pictures[index]!.id}
          item={(index, tabIndex) => {
            const picture = pictures[index]!;
            return <Cell picture={picture} tabIndex={tabIndex} isChosen={chosen.includes(picture.id)} onOpen={() => setOpen(picture.id)} onChoose={() => choose(picture.id)} />;
          }}
          onNearEnd={() => void list.more()}
          end={<p class="list-end soft small">{next === null ? t.all_(number(pictures.length)) : t.more}</p>}
        />
      )}
      {chosen.length > 0 && (
        <div class="choice" role="status">
          <span class="cut">{chosen.length === 1 ? t.chosen : t.both}</span>
          <Button kind="quiet" onClick={() => setChosen([])}>
            {t.clear}
          </Button>
          {chosen.length === 2 && (
            <LinkButton kind="primary" icon="compare" href={href(["compare", ...chosen])}>
              {t.compare}
            </LinkButton>
          )}
        </div>
      )}
      {shown && (
        <Lightbox
          output={shown.output}
          alt={t.picture(shown.number, nameOf(shown.job))}
          caption={
            <>
              <b>{nameOf(shown.job)}</b> · {[keyName(ownKey.value, shown.job.tenant), aboutOutput(shown.output)].filter(Boolean).join(" · ")}
            </>
          }
          onStep={{ back: step(at - 1), next: step(at + 1) }}
          onClose={() => setOpen(undefined)}
          actions={<LinkButton href={href(["jobs", shown.job.job])}>{t.open}</LinkButton>}
        />
      )}
    </>
  );
}

function RuntimeChoice({ value, onChoose }: { value: string; onChoose: (name: string) => void }) {
  const runtimes = useLoad((signal) => call<{ runtimes: Runtime[] }>("GET", "runtimes", { signal }), []).data?.runtimes ?? [];
  const t = text();
  return (
    <select class="select" aria-label={t.runtime} value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
      <option value="">{t.all}</option>
      {(runtimes.length ? runtimes.map((one) => one.name) : value ? [value] : []).map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

function Cell({ picture, tabIndex, isChosen, onOpen, onChoose }: { picture: Picture; tabIndex: 0 | -1; isChosen: boolean; onOpen: () => void; onChoose: () => void }) {
  const t = text();
  const { job, number, output } = picture;
  return (
    <div class={isChosen ? "cell chosen" : "cell"} onKeyDown={(event) => event.key === "c" && !event.ctrlKey && !event.metaKey && onChoose()}>
      <button type="button" class="cell-open" tabIndex={tabIndex} onClick={onOpen}>
        <Thumbnail url={output.url} alt={t.picture(number, nameOf(job))} icon="gallery" />
        <span class="cell-text">
          <b class="cut">{nameOf(job)}</b>
          <span class="soft cut">{aboutOutput(output)}</span>
        </span>
      </button>
      <span class="cell-choose">
        <Button icon={isChosen ? "check" : "compare"} label={isChosen ? t.unchoose : t.choose} pressed={isChosen} tabIndex={tabIndex} onClick={onChoose} />
      </span>
    </div>
  );
}
