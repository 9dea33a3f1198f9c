import { useEffect, useState } from "preact/hooks";
import { call } from "../api/client";
import type { Job, JobRequest, JsonObject, Runtime } from "../api/types";
import { table } from "../i18n";
import { useLoad } from "../load";
import { Button, Field, LinkButton } from "../parts/controls";
import { ErrorNote } from "../parts/feedback";
import { go, href } from "../routes";
import { again } from "./request-card";
import { merged, seedPatch, seedsOf, type Seed } from "./seeds";

const text = table(
  {
    title: "Run again with changes",
    seed: "Seed",
    less: "Seed minus 1",
    more: "Seed plus 1",
    noSeed: "This request has no seed.",
    unknownSeed: "Random. Enter one, or draw one with −1 or +1.",
    wrongSeed: "A seed is a whole number from 0 to 18446744073709551615.",
    runtime: "Runtime",
    same: (name: string) => `${name} (the same)`,
    dropped: (keys: string) => `It does not know these, so they are left out: ${keys}`,
    run: "Run again",
    edit: "Edit all of it",
  },
  {
    title: "修改后重新运行",
    seed: "种子",
    less: "种子减 1",
    more: "种子加 1",
    noSeed: "此请求没有种子。",
    unknownSeed: "随机。可输入种子，或用 −1、+1 抽取一个。",
    wrongSeed: "种子是 0 到 18446744073709551615 之间的整数。",
    runtime: "运行时",
    same: (name: string) => `${name}（相同）`,
    dropped: (keys: string) => `该运行时不支持以下字段，将被省略：${keys}`,
    run: "重新运行",
    edit: "编辑全部",
  },
);

const MAX_SEED = 2n ** 64n - 1n;

/** Repeats a job that has ended, with another seed or by another runtime. */
export function Replay({ job, request }: { job: Job; request: JobRequest }) {
  const inContent = seedsOf(request.content, job);
  const ownKeys = useKnownKeys(job.runtime, job, inContent.length === 0);
  const seeds: Seed[] = inContent.length || !ownKeys?.includes("seed") ? inContent : [{ path: ["seed"], value: null }];
  const [seed, setSeed] = useState(String(seeds[0]?.value ?? ""));
  const [target, setTarget] = useState(job.runtime);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const runtimes = useLoad((signal) => call<{ runtimes: Runtime[] }>("GET", "runtimes", { signal }), []).data?.runtimes ?? [];
  const known = useKnownKeys(target, job, target !== job.runtime);
  useEffect(() => setSeed(String(seeds[0]?.value ?? "")), [job.job, job.images.length]);
  const t = text();

  const fitting = runtimes.filter((one) => one.name === job.runtime || one.task_types.includes(job.type));
  const isUnknown = seeds[0]?.value === null && !seed;
  const isSeed = /^\d{1,20}$/.test(seed) && BigInt(seed) <= MAX_SEED;
  const dropped = known ? Object.keys(request.content).filter((key) => !known.includes(key)) : [];
  const step = (by: bigint) => {
    if (isUnknown) setSeed(String(crypto.getRandomValues(new Uint32Array(1))[0]));
    else if (isSeed) setSeed(String(BigInt.asUintN(64, BigInt(seed) + by)));
  };

  const run = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    const patch: JsonObject = seeds.length && isSeed ? seedPatch(seeds, BigInt(seed)) : {};
    const headers = { "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") };
    try {
      let made: Job;
      if (target === job.runtime) {
        made = await call<Job>("POST", `jobs/${job.job}/retry`, { body: { content: patch }, headers });
      } else {
        const content = Object.fromEntries(Object.entries(merged(request.content, patch)).filter(([key]) => !dropped.includes(key)));
        made = await call<Job>("POST", "jobs", { body: { ...again(request), runtime: target, content }, headers });
      }
      go(["jobs", made.job]);
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };

  return (
    <form class="card replay" onSubmit={(event) => void run(event)}>
      <h2>{t.title}</h2>
      <Field label={t.seed} hint={isUnknown ? t.unknownSeed : seeds.length ? "" : t.noSeed} error={seeds.length && !isSeed && !isUnknown ? t.wrongSeed : undefined}>
        {(ids) => (
          <div class="stepper">
            <Button label={t.less} disabled={!seeds.length} onClick={() => step(-1n)}>
              −1
            </Button>
            <input {...ids} inputMode="numeric" class="numeric" value={seed} disabled={!seeds.length} onInput={(event) => setSeed(event.currentTarget.value.trim())} />
            <Button label={t.more} disabled={!seeds.length} onClick={() => step(1n)}>
              +1
            </Button>
          </div>
        )}
      </Field>
      {fitting.length > 1 && (
        <Field label={t.runtime} hint={dropped.length ? t.dropped(dropped.join(", ")) : ""}>
          {(ids) => (
            <select {...ids} value={target} onChange={(event) => setTarget(event.currentTarget.value)}>
              {fitting.map(({ name }) => (
                <option key={name} value={name}>
                  {name === job.runtime ? t.same(name) : name}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {Boolean(error) && <ErrorNote error={error} />}
      <div class="replay-actions">
        <Button type="submit" kind="primary" icon="retry" busy={isBusy} disabled={seeds.length > 0 && !isSeed && !isUnknown}>
          {t.run}
        </Button>
        <LinkButton href={href(["new"], { from: job.job })} icon="edit" kind="quiet">
          {t.edit}
        </LinkButton>
      </div>
    </form>
  );
}

/** The keys that a runtime's content may have, asked for where they matter; undefined where all go along. */
function useKnownKeys(runtime: string, job: Job, matters: boolean): string[] | undefined {
  const { data } = useLoad(
    async (signal) =>
      matters ? await call<{ properties?: JsonObject }>("GET", `runtimes/${encodeURIComponent(runtime)}/schema`, { query: { type: job.type }, signal }) : {},
    [runtime, job.type, matters],
  );
  return matters && data?.properties ? Object.keys(data.properties) : undefined;
}
