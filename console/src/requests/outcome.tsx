import type { FieldProblem } from "../api/types";
import { table } from "../i18n";
import { ErrorNote } from "../parts/feedback";
import { Icon } from "../parts/icon";
import type { Warning } from "./draft";
import { partsOf } from "./problems";
import { placeIn, type Workflow } from "./workflow";

const text = table(
  {
    valid: "The request is valid.",
    ignored: "Some of the request has no effect:",
    wrong: "The request has errors:",
    lacking: (runtime: string) => `The servers of ${runtime} do not take this workflow as it is:`,
    take: (value: string) => `Use ${value}`,
    mean: (value: string) => `Did you mean ${value}?`,
    node: (id: string) => `node ${id}`,
  },
  {
    valid: "请求有效。",
    ignored: "请求中的部分内容不起作用：",
    wrong: "请求有错误：",
    lacking: (runtime: string) => `${runtime} 的服务器不能直接运行此工作流：`,
    take: (value: string) => `使用 ${value}`,
    mean: (value: string) => `是否为 ${value}?`,
    node: (id: string) => `节点 ${id}`,
  },
);

interface Props {
  runtime: string;
  workflow: Workflow | undefined;
  problems: FieldProblem[];
  error: unknown;
  warnings: Warning[];
  isValid: boolean;
  /** Take what the API suggests instead; undefined for a problem that needs more than another value. */
  repairOf: (problem: FieldProblem) => (() => void) | undefined;
}

/** What the API says of a request. */
export function Outcome({ runtime, workflow, problems, error, warnings, isValid, repairOf }: Props) {
  const t = text();
  return (
    <div class="outcome" aria-live="polite">
      {Boolean(error) && <ErrorNote error={error} />}
      {problems.length > 0 && (
        <div class="note bad" role="alert" tabIndex={-1}>
          <Icon name="warning" />
          <div class="note-body">
            <p>{workflow ? t.lacking(runtime) : t.wrong}</p>
            <ul>
              {problems.map((one) => (
                <One key={one.pointer + one.detail} problem={one} workflow={workflow} onRepair={repairOf(one)} />
              ))}
            </ul>
          </div>
        </div>
      )}
      {warnings.length > 0 && (
        <div class="note warn">
          <Icon name="info" />
          <div class="note-body">
            <p>{t.ignored}</p>
            <ul>
              {warnings.map((one) => (
                <li key={one.pointer}>
                  <code>{one.pointer}</code> {one.detail}
                </li>
              ))}
            </ul>
          </div>
        </div>
      )}
      {isValid && (
        <p class="note good">
          <Icon name="check" />
          {t.valid}
        </p>
      )}
    </div>
  );
}

function One({ problem, workflow, onRepair }: { problem: FieldProblem; workflow: Workflow | undefined; onRepair: (() => void) | undefined }) {
  const t = text();
  const place = workflow && placeIn(workflow, partsOf(problem.pointer));
  const { suggestion } = problem;
  return (
    <li>
      {place ? (
        <>
          <b>{place.className}</b> <span class="soft">{t.node(place.node)}</span> {place.field && <code>{place.field}</code>}
        </>
      ) : (
        <code>{problem.pointer}</code>
      )}{" "}
      {problem.detail}{" "}
      {suggestion &&
        (onRepair ? (
          <button type="button" class="link" onClick={onRepair}>
            {t.take(suggestion)}
          </button>
        ) : (
          t.mean(suggestion)
        ))}
    </li>
  );
}
