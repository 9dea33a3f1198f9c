import type { Route } from "../routes";

export function Compare({ route }: { route: Route }) {
  return <p>{route.path.join("/")}</p>;
}
