import "./form.css";
import { useState } from "preact/hooks";
import { write } from "../api/json";
import type { FieldProblem, Json, JsonObject } from "../api/types";
import { table } from "../i18n";
import { Button, Field } from "../parts/controls";
import { problemOf, randomSeed, read, type FieldSpec, type Problem } from "./fields";
import { labelOf } from "./labels";
import { PictureInput } from "./picture-input";

const text = table(
  {
    required: "required",
    usual: (value: string) => `Default: ${value}`,
    such: (example: string) => `For example: ${example}`,
    none: "Default",
    yes: "Yes",
    no: "No",
    random: "Random",
    dice: "Draw a seed",
    more: (n: number) => `${n} more fields`,
    find: "Find a field",
    take: (value: string) => `Use ${value}`,
    gone: (value: string) => `${value} (not there)`,
    problems: {
      required: "This is required.",
      integer: "Enter a whole number.",
      number: "Enter a number.",
      json: "Enter JSON.",
    },
    min: (limit: string) => `At least ${limit}.`,
    max: (limit: string) => `At most ${limit}.`,
  },
  {
    required: "必填",
    usual: (value: string) => `默认：${value}`,
    such: (example: string) => `例如：${example}`,
    none: "默认",
    yes: "是",
    no: "否",
    random: "随机",
    dice: "生成种子",
    more: (n: number) => `另外 ${n} 个字段`,
    find: "查找字段",
    take: (value: string) => `使用 ${value}`,
    gone: (value: string) => `${value}（不存在）`,
    problems: {
      required: "此项必填。",
      integer: "请输入整数。",
      number: "请输入数字。",
      json: "请输入 JSON。",
    },
    min: (limit: string) => `不小于 ${limit}。`,
    max: (limit: string) => `不大于 ${limit}。`,
  },
);

interface FormProps {
  fields: FieldSpec[];
  values: JsonObject;
  problems: Record<string, FieldProblem>;
  /** Whether to point out what is still missing. */
  isChecked: boolean;
  onChange: (name: string, value: Json | undefined) => void;
}

/** The fields of a request: what is usual in sight, the others folded. A value is absent where nothing is given. */
export function Form({ fields, ...props }: FormProps) {
  const [isOpen, setOpen] = useState(false);
  const [wanted, setWanted] = useState("");
  const t = text();
  const main = fields.filter((field) => field.isMain);
  const others = fields.filter((field) => !field.isMain);
  const hasProblem = others.some((field) => props.problems[field.name]);
  const given = others.filter((field) => props.values[field.name] !== undefined);
  const found = others.filter((field) => `${field.name} ${labelOf(field.name)}`.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <div class="form">
      <div class="form-fields">
        {main.map((field) => (
          <One key={field.name} field={field} {...props} />
        ))}
      </div>
      {others.length > 0 && (
        <details class="form-more" open={isOpen || hasProblem} onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>
            {t.more(others.length)}
            {given.length > 0 && <span class="soft"> · {given.map((field) => labelOf(field.name)).join(", ")}</span>}
          </summary>
          {(isOpen || hasProblem) && (
            <>
              {others.length > 12 && <input type="search" placeholder={t.find} aria-label={t.find} value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />}
              <div class="form-fields">
                {found.map((field) => (
                  <One key={field.name} field={field} {...props} />
                ))}
              </div>
            </>
          )}
        </details>
      )}
    </div>
  );
}

const WIDE = new Set(["prompt", "picture", "pictures", "json"]);

function One({ field, values, problems, isChecked, onChange }: { field: FieldSpec } & Omit<FormProps, "fields">) {
  const value = values[field.name];
  const found = problems[field.name];
  const own = problemOf(field, value);
  const t = text();
  const error = own && (own !== "required" || isChecked) ? problemText(own, field) : found?.detail;
  const change = (next: Json | undefined) => onChange(field.name, next);
  const label = (
    <>
      <span title={field.name}>{labelOf(field.name)}</span>
      {field.isRequired && <span class="soft required"> {t.required}</span>}
    </>
  );
  const about = error && found?.suggestion ? (
    <>
      {error}{" "}
      <button type="button" class="link" onClick={() => change(found.suggestion!)}>
        {t.take(found.suggestion)}
      </button>
    </>
  ) : (
    error
  );
  return (
    <div class={WIDE.has(field.kind) ? "form-field wide" : "form-field"}>
      <Field label={label} hint={field.description} error={about}>
        {(ids) => <Input field={field} value={value} ids={ids} onChange={change} />}
      </Field>
    </div>
  );
}

function problemText(problem: Problem, field: FieldSpec): string {
  const t = text();
  if (problem === "min") return t.min(String(field.min));
  if (problem === "max") return t.max(String(field.max));
  return t.problems[problem];
}

interface InputProps {
  field: FieldSpec;
  value: Json | undefined;
  ids: { id: string; "aria-describedby": string; "aria-invalid": boolean };
  onChange: (value: Json | undefined) => void;
}

function Input(props: InputProps) {
  const { field, value, ids, onChange } = props;
  const t = text();
  const usual = field.fallback === undefined ? "" : shown(field.fallback);
  switch (field.kind) {
    case "flag":
      return (
        <select {...ids} value={value === undefined ? "" : String(value)} onChange={(event) => onChange(read3(event.currentTarget.value))}>
          <option value="">{field.fallback === undefined ? t.none : t.usual(field.fallback ? t.yes : t.no)}</option>
          <option value="true">{t.yes}</option>
          <option value="false">{t.no}</option>
        </select>
      );
    case "choice":
      return <Choice {...props} usual={usual} />;
    case "picture":
      return <PictureInput ids={ids} value={typeof value === "string" ? [value] : []} isMany={false} onChange={(links) => onChange(links[0])} />;
    case "pictures":
      return <PictureInput ids={ids} value={Array.isArray(value) ? value.map(String) : []} isMany onChange={(links) => onChange(links.length ? links : undefined)} />;
    case "seed":
      return (
        <div class="seed">
          <Typed {...props} placeholder={field.isRequired ? "" : t.random} />
          <Button icon="dice" label={t.dice} onClick={() => onChange(randomSeed(field))} />
        </div>
      );
    default:
      return <Typed {...props} placeholder={usual ? t.usual(usual) : field.example && t.such(field.example)} />;
  }
}

const read3 = (chosen: string) => (chosen === "" ? undefined : chosen === "true");

function Choice({ field, value, ids, onChange, usual }: InputProps & { usual: string }) {
  const t = text();
  const at = field.choices.findIndex((choice) => write(choice) === write(value ?? null));
  const isGone = value !== undefined && at < 0;
  return (
    <select {...ids} value={value === undefined ? "" : isGone ? "gone" : String(at)} onChange={(event) => onChange(field.choices[Number(event.currentTarget.value || NaN)])}>
      {!(field.isRequired && value !== undefined) && <option value="">{usual ? t.usual(usual) : t.none}</option>}
      {isGone && <option value="gone">{t.gone(shown(value))}</option>}
      {field.choices.map((choice, index) => (
        <option key={index} value={index}>
          {shown(choice)}
        </option>
      ))}
    </select>
  );
}

/** A field for a typed value. What is typed stays as it is, so that "1." may become "1.5". */
function Typed({ field, value, ids, onChange, placeholder }: InputProps & { placeholder: string }) {
  const [typed, setTyped] = useState(shown(value));
  const isCurrent = write(read(field.kind, typed) ?? null) === write(value ?? null);
  const content = isCurrent ? typed : shown(value);
  const change = (next: string) => {
    setTyped(next);
    onChange(read(field.kind, next));
  };
  if (field.kind === "prompt" || field.kind === "json") {
    const isJson = field.kind === "json";
    return (
      <textarea {...ids} class={isJson ? "mono" : undefined} rows={isJson || !/^prompt/.test(field.name) ? 2 : 4} spellcheck={!isJson} placeholder={placeholder} value={content} onInput={(event) => change(event.currentTarget.value)} />
    );
  }
  const isNumber = field.kind !== "text";
  return <input {...ids} class={isNumber ? "numeric" : undefined} inputMode={isNumber ? (field.kind === "number" ? "decimal" : "numeric") : "text"} autocomplete="off" placeholder={placeholder} value={content} onInput={(event) => change(event.currentTarget.value)} />;
}

function shown(value: Json | undefined): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : write(value, typeof value === "object" ? 2 : undefined);
}
