import { Store } from "./store";

/** Where the reader is: the hash #/jobs/ID?runtime=x is the path ["jobs", "ID"] with a query. */
export interface Route {
  path: string[];
  query: URLSearchParams;
}

export const route = new Store<Route>(read());

addEventListener("hashchange", () => route.set(read()));

function read(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a view, for a link; parts of the query without a value are left out. */
export function href(path: string[], query: Record<string, string | undefined> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const text = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

export function go(path: string[], query: Record<string, string | undefined> = {}): void {
  location.hash = href(path, query);
}

/** Change the address without a step in the browser's history. */
export function replace(path: string[], query: Record<string, string | undefined> = {}): void {
  history.replaceState(null, "", href(path, query));
  route.set(read());
}
