import { useState } from "preact/hooks";
import { outputUrl } from "../api/client";
import type { Job, Output } from "../api/types";
import { bytes, table } from "../i18n";
import { LinkButton } from "../parts/controls";
import { Icon } from "../parts/icon";
import { Lightbox } from "../parts/lightbox";
import { href } from "../routes";
import { nameOf } from "./names";

const text = table(
  {
    pictures: "Pictures",
    picture: (n: number, of: string) => `Picture ${n} of ${of}`,
    enlarge: "Enlarge",
    download: "Download",
    compare: "Compare the first two",
    seed: "seed",
    gone: "The picture is no longer there. Reload the page for a new link to it.",
    files: "Files",
    unnamed: "file",
  },
  {
    pictures: "图片",
    picture: (n: number, of: string) => `${of} 的第 ${n} 张图片`,
    enlarge: "放大",
    download: "下载",
    compare: "比较前两张",
    seed: "种子",
    gone: "图片已不存在。重新加载页面可获取新链接。",
    files: "文件",
    unnamed: "文件",
  },
);

/** An output's size in pixels, its size in bytes, and its seed, as far as they are known. */
export function aboutOutput(output: Output): string {
  const size = output.width && output.height ? `${output.width} × ${output.height}` : "";
  const seed = output.seed === null ? "" : `${text().seed} ${output.seed}`;
  return [size, output.bytes === null ? "" : bytes(output.bytes), seed].filter(Boolean).join(" · ");
}

/** The file's name, as its link ends. */
export function fileName(output: Output): string {
  return output.name ?? (output.s3.split("/").at(-1) || text().unnamed);
}

/** A job's pictures; each opens in full. */
export function Pictures({ job }: { job: Job }) {
  const [open, setOpen] = useState<number>();
  const [broken, setBroken] = useState<string[]>([]);
  const t = text();
  const { images } = job;
  const shown = open === undefined ? undefined : images[open];
  return (
    <section aria-label={t.pictures} class="pictures-section">
      <div class={images.length > 1 ? "pictures many" : "pictures"}>
        {images.map((output, index) => {
          const src = outputUrl(output.url);
          const alt = t.picture(index + 1, nameOf(job));
          const ratio = output.width && output.height ? `${output.width} / ${output.height}` : "1";
          return (
            <figure key={output.s3} class="picture card">
              <button type="button" class="picture-open" aria-label={`${t.enlarge}: ${alt}`} style={{ aspectRatio: ratio }} onClick={() => setOpen(index)}>
                {src && !broken.includes(src) ? <img src={src} alt={alt} onError={() => setBroken([...broken, src])} /> : <span class="soft small picture-gone">{t.gone}</span>}
              </button>
              <figcaption>
                <span class="soft small cut">{aboutOutput(output)}</span>
                {src && (
                  <a class="button quiet square" href={src} download={fileName(output)} aria-label={`${t.download}: ${alt}`} title={t.download}>
                    <Icon name="download" />
                  </a>
                )}
              </figcaption>
            </figure>
          );
        })}
      </div>
      {images.length > 1 && (
        <div class="pictures-foot">
          <LinkButton href={href(["compare", `${job.job}.1`, `${job.job}.2`])} icon="compare" kind="quiet">
            {t.compare}
          </LinkButton>
        </div>
      )}
      {shown && open !== undefined && (
        <Lightbox
          output={shown}
          alt={t.picture(open + 1, nameOf(job))}
          caption={aboutOutput(shown)}
          onStep={{ back: open > 0 ? () => setOpen(open - 1) : undefined, next: open < images.length - 1 ? () => setOpen(open + 1) : undefined }}
          onClose={() => setOpen(undefined)}
        />
      )}
    </section>
  );
}

/** Results that are no pictures, as links. */
export function Files({ files, isPlain = false }: { files: Output[]; isPlain?: boolean }) {
  const t = text();
  const list = (
    <ul class="files">
      {files.map((file) => {
        const url = outputUrl(file.url);
        return (
          <li key={file.s3}>
            {url ? (
              <a href={url} target="_blank" rel="noopener noreferrer">
                {fileName(file)}
              </a>
            ) : (
              fileName(file)
            )}
            {!isPlain && <span class="soft small">{[file.content_type, file.bytes === null ? "" : bytes(file.bytes)].filter(Boolean).join(" · ")}</span>}
          </li>
        );
      })}
    </ul>
  );
  if (isPlain) return list;
  return (
    <section class="card files-card">
      <h2>{t.files}</h2>
      {list}
    </section>
  );
}
