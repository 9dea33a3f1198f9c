import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, call } from "../api/client";
import { bytes, table } from "../i18n";
import { Button } from "../parts/controls";
import { explained } from "../parts/feedback";
import { Icon } from "../parts/icon";
import { session } from "../session";

const text = table(
  {
    drop: "Drop a picture here, or",
    choose: "choose a file",
    link: "or enter a link: https://… or s3://…",
    busy: "Uploading …",
    remove: (name: string) => `Remove ${name}`,
    data: "a picture in the request itself",
  },
  {
    drop: "将图片拖到此处，或",
    choose: "选择文件",
    link: "或输入链接：https://… 或 s3://…",
    busy: "正在上传……",
    remove: (name: string) => `移除 ${name}`,
    data: "请求中自带的图片",
  },
);

/** What was uploaded from this page, by its link, so that it can be shown. */
const uploaded = new Map<string, { name: string; size: number; preview: string }>();

// What one key has uploaded, another may not see.
session.follow(() => uploaded.clear());

interface Props {
  ids: { id: string; "aria-describedby": string; "aria-invalid": boolean };
  /** Links: s3:// of what was uploaded, or what the reader has entered. */
  value: string[];
  isMany: boolean;
  onChange: (links: string[]) => void;
}

/** Takes a picture: a file, which is uploaded, or a link. */
export function PictureInput({ ids, value, isMany, onChange }: Props) {
  const [count, setCount] = useState(0);
  const [error, setError] = useState<unknown>();
  const [isOver, setOver] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const latest = useRef(value);
  const isThere = useRef(true);
  latest.current = value;
  useEffect(() => () => void (isThere.current = false), []);
  const t = text();

  const take = async (files: Iterable<File>) => {
    setError(undefined);
    for (const one of isMany ? files : [...files].slice(0, 1)) {
      setCount((n) => n + 1);
      try {
        const stored = await store(one);
        uploaded.set(stored.s3, { name: one.name, size: stored.file.size, preview: URL.createObjectURL(stored.file) });
        if (isThere.current) onChange(isMany ? [...latest.current, stored.s3] : [stored.s3]);
      } catch (problem) {
        setError(problem);
      }
      setCount((n) => n - 1);
    }
  };

  const isFull = !isMany && value.length > 0 && (uploaded.has(value[0]!) || value[0]!.startsWith("data:"));
  return (
    <div class="picture-input">
      {value.map((link, index) => {
        const known = uploaded.get(link);
        if (!known && !isMany && !link.startsWith("data:")) return null; // the field for a link shows it
        const name = known?.name ?? (link.startsWith("data:") ? t.data : link);
        return (
          <div class="picture-given" key={link}>
            {known ? <img src={known.preview} alt="" /> : <Icon name="gallery" />}
            <span class="cut">
              {name} {known && <span class="soft small">{bytes(known.size)}</span>}
            </span>
            <Button kind="quiet" icon="close" label={t.remove(name)} onClick={() => onChange(value.filter((_, at) => at !== index))} />
          </div>
        );
      })}
      {!isFull && (
        <div
          class={isOver ? "drop over" : "drop"}
          onDragOver={(event) => (event.preventDefault(), setOver(true))}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => {
            event.preventDefault();
            setOver(false);
            void take(event.dataTransfer?.files ?? []);
          }}
        >
          <Icon name="upload" />
          <span>
            {count ? (
              t.busy
            ) : (
              <>
                {t.drop}{" "}
                <button type="button" class="link" onClick={() => file.current?.click()}>
                  {t.choose}
                </button>
              </>
            )}
          </span>
          <input ref={file} type="file" accept="image/*" multiple={isMany} hidden onChange={(event) => (void take([...(event.currentTarget.files ?? [])]), (event.currentTarget.value = ""))} />
        </div>
      )}
      {isMany ? (
        <LinkEntry {...{ ids }} onEnter={(link) => onChange([...value, link])} />
      ) : (
        !isFull && <input {...ids} class="mono" spellcheck={false} placeholder={t.link} value={value[0] ?? ""} onInput={(event) => onChange(event.currentTarget.value ? [event.currentTarget.value] : [])} />
      )}
      {Boolean(error) && (
        <p class="about wrong small" role="alert">
          {explained(error)}
        </p>
      )}
    </div>
  );
}

/** Store a picture. One that is too large for the API, as photos are, is made smaller; throws ApiError. */
async function store(file: File): Promise<{ s3: string; file: Blob }> {
  const send = async (one: Blob) => {
    const body = new FormData();
    body.append("file", one, file.name);
    return { ...(await call<{ s3: string }>("POST", "files", { body })), file: one };
  };
  try {
    return await send(file);
  } catch (problem) {
    if (!(problem instanceof ApiError) || problem.status !== 413) throw problem;
    const less = await smaller(file).catch(() => Promise.reject(problem)); // it is no picture that the browser knows
    return await send(less);
  }
}

const MAX_SIDE = 2048;

async function smaller(file: File): Promise<Blob> {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, MAX_SIDE / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale));
  canvas.getContext("2d")!.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}

function LinkEntry({ ids, onEnter }: Pick<Props, "ids"> & { onEnter: (link: string) => void }) {
  const [typed, setTyped] = useState("");
  const enter = () => {
    if (typed.trim()) onEnter(typed.trim());
    setTyped("");
  };
  return (
    <input
      {...ids}
      class="mono"
      spellcheck={false}
      placeholder={text().link}
      value={typed}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onBlur={enter}
      onKeyDown={(event) => event.key === "Enter" && (event.preventDefault(), enter())}
    />
  );
}
