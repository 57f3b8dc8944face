import { useState } from "preact/hooks";

/** Which page of a list is shown: lists go on by the cursor of the page before. */
export interface Pages {
  cursor: string | undefined;
  number: number;
  first(): void;
  newer(): void;
  older(next: string): void;
}

export function usePages(): Pages {
  const [cursors, setCursors] = useState<readonly string[]>([]);
  return {
    cursor: cursors.at(-1),
    number: cursors.length + 1,
    first: () => setCursors([]),
    newer: () => setCursors(cursors.slice(0, -1)),
    older: (next) => setCursors([...cursors, next]),
  };
}

/** The path of a page. Of the query what is empty is left out. */
export function pathOf(
  path: string,
  query: Record<string, string | undefined>,
  { cursor }: { cursor?: string | undefined } = {},
): string {
  const given = Object.entries({ ...query, cursor }).filter((each): each is [string, string] => !!each[1]);
  return `${path}?${new URLSearchParams(given)}`;
}

interface Props {
  of: string;
  pages: Pages;
  next: string | undefined;
  /** What is shown is not this page yet: until it is, the buttons do nothing, and keep the focus. */
  isBusy: boolean;
}

export function Pager({ of, pages, next, isBusy }: Props) {
  if (pages.number === 1 && next === undefined) return null;
  return (
    <nav class="pager" aria-label={`Pages of ${of}`}>
      <button type="button" onClick={() => isBusy || pages.newer()} disabled={pages.number === 1}>
        ← Newer
      </button>
      <span>Page {pages.number}</span>
      <button type="button" onClick={() => isBusy || pages.older(next!)} disabled={next === undefined}>
        Older →
      </button>
    </nav>
  );
}
