import type { Route } from "../routes";

export function Gallery({ route }: { route: Route }) {
  return <p>{route.path.join("/")}</p>;
}
