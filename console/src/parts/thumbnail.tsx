import { useState } from "preact/hooks";
import { outputUrl } from "../api/client";
import { Icon, type IconName } from "./icon";

/** A small picture of an output; a sign where there is none, or where it does not load. */
export function Thumbnail({ url, alt = "", icon }: { url: string | null | undefined; alt?: string; icon: IconName }) {
  const [broken, setBroken] = useState<string>();
  const src = outputUrl(url);
  return (
    <span class="thumb">
      {src && src !== broken ? <img src={src} alt={alt} loading="lazy" decoding="async" onError={() => setBroken(src)} /> : <Icon name={icon} />}
    </span>
  );
}
