import { signal } from "@preact/signals";

/** What the address asks for: `#/runs/ID?tab=log` is the page `runs` of `ID`. */
export interface Route {
  page: string;
  id: string | undefined;
  query: URLSearchParams;
}

export const route = signal<Route>(parse(location.hash));

addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [page = "", id] = path.split("/").map(decoded);
  return { page: page || "runs", id: id || undefined, query: new URLSearchParams(query) };
}

/** Addresses are typed by people, too. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page. Of the query what is empty is left out. */
export function hrefOf(page: string, id?: string, query: Record<string, string | undefined> = {}): string {
  const given = Object.entries(query).filter((each): each is [string, string] => !!each[1]);
  const search = given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
  return `#/${page}${id === undefined ? "" : `/${encodeURIComponent(id)}`}${search}`;
}

export function go(href: string): void {
  location.hash = href;
}

/** Another address for the same place: going back leads past it. */
export function replace(href: string): void {
  history.replaceState(null, "", href);
  route.value = parse(href);
}
