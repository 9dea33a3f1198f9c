import { useEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { outputUrl } from "../api/client";
import type { Output } from "../api/types";
import { table } from "../i18n";
import { Button, LinkButton } from "./controls";

const text = table(
  { close: "Close", back: "Previous picture", next: "Next picture", picture: "Picture", open: "Open in a tab of its own" },
  { close: "关闭", back: "上一张", next: "下一张", picture: "图片", open: "在新标签页中打开" },
);

interface Props {
  output: Output;
  alt: string;
  /** What stands below the picture. */
  caption: ComponentChildren;
  /** Go to the picture before (-1) or after (1); undefined where there is none. */
  onStep: { back?: (() => void) | undefined; next?: (() => void) | undefined };
  onClose: () => void;
  actions?: ComponentChildren;
}

/** A picture in full, over the page. Arrows step, Escape closes. */
export function Lightbox({ output, alt, caption, onStep, onClose, actions }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const t = text();
  useEffect(() => {
    const element = dialog.current!;
    element.showModal();
    return () => element.close();
  }, []);
  const src = outputUrl(output.url);
  return (
    <dialog
      ref={dialog}
      class="lightbox"
      aria-label={t.picture}
      onClose={onClose}
      onClick={(event) => event.target === event.currentTarget && onClose()}
      onKeyDown={(event) => {
        if (event.key === "ArrowLeft") onStep.back?.();
        else if (event.key === "ArrowRight") onStep.next?.();
      }}
    >
      <div class="lightbox-bar">
        <div class="lightbox-caption">{caption}</div>
        {actions}
        {src && <LinkButton href={src} icon="external" label={t.open} kind="quiet" away />}
        <Button icon="close" label={t.close} kind="quiet" onClick={onClose} />
      </div>
      <div class="lightbox-picture">{src && <img key={src} src={src} alt={alt} />}</div>
      {onStep.back && (
        <div class="lightbox-step back">
          <Button icon="back" label={t.back} onClick={onStep.back} />
        </div>
      )}
      {onStep.next && (
        <div class="lightbox-step next">
          <Button icon="next" label={t.next} onClick={onStep.next} />
        </div>
      )}
    </dialog>
  );
}
