import type { Route } from "../routes";

export function JobView({ route }: { route: Route }) {
  return <p>{route.path.join("/")}</p>;
}
