import { useEffect, useState } from "preact/hooks";
import { outputUrl } from "../api/client";

/**
 * A picture that changes under one URL, as the preview of a running job does: read again when `version` changes.
 * The last one stays until the next has come.
 */
export function usePreview(url: string | null | undefined, version: unknown): string | undefined {
  const [shown, setShown] = useState<string>();
  const source = outputUrl(url);
  useEffect(() => {
    if (!source) return;
    const end = new AbortController();
    fetch(source, { signal: end.signal, credentials: "omit", cache: "no-store", headers: { Accept: "image/*" } })
      .then((answer) => (answer.ok && answer.headers.get("content-type")?.startsWith("image/") ? answer.blob() : undefined))
      .then((blob) => blob && setShown(URL.createObjectURL(blob)))
      .catch(() => undefined); // the next preview comes soon
    return () => end.abort();
  }, [source, version]);
  useEffect(() => () => void (shown && URL.revokeObjectURL(shown)), [shown]);
  return source && shown;
}
