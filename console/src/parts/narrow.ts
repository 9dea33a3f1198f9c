import { useEffect, useState } from "preact/hooks";

const query = matchMedia("(max-width: 720px)");

/** Whether the page is as narrow as on a phone; styles use the same width. */
export function useNarrow(): boolean {
  const [isNarrow, set] = useState(query.matches);
  useEffect(() => {
    const follow = () => set(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  return isNarrow;
}
