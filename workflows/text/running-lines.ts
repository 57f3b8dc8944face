const LINES_AT_EDGE = 2;
const FEWEST_PAGES = 3;
const PAGE_NUMBER =
  /^[\s–—-]*(?:(?:page|seite|p\.|s\.)\s*)?(?:\d{1,5}|[ivxlcdm]{1,7})(?:\s*(?:\/|of|von|sur|de)\s*\d{1,5})?[\s–—-]*$/i;

/**
 * The texts of pages without what a printer put around them: page numbers, and headers and footers that come back on
 * three pages or more. The first time that one comes it stays, because a letterhead is also where the date stands.
 */
export function withoutRunningLines(pages: readonly string[]): string[] {
  const split = pages.map((page) => page.split("\n"));
  const pagesWith = new Map<string, number>();
  for (const lines of split)
    for (const key of new Set(edges(lines).map((index) => keyOf(lines[index]!))))
      pagesWith.set(key, (pagesWith.get(key) ?? 0) + 1);
  const seen = new Set<string>();
  return split.map((lines) => {
    const dropped = new Set<number>();
    for (const index of edges(lines)) {
      const line = lines[index]!;
      const key = keyOf(line);
      if (pages.length > 1 && PAGE_NUMBER.test(line)) dropped.add(index);
      else if ((pagesWith.get(key) ?? 0) >= FEWEST_PAGES) {
        if (seen.has(key)) dropped.add(index);
        seen.add(key);
      }
    }
    return lines.filter((_, index) => !dropped.has(index)).join("\n");
  });
}

/** Where the first and last lines of a page are that hold anything. */
function edges(lines: readonly string[]): number[] {
  const found = new Set<number>();
  for (const step of [1, -1]) {
    let index = step === 1 ? 0 : lines.length - 1;
    for (let count = 0; count < LINES_AT_EDGE && index >= 0 && index < lines.length; index += step) {
      if (lines[index]!.trim() === "") continue;
      found.add(index);
      count += 1;
    }
  }
  return [...found];
}

/** What a line has in common with the same line of other pages: all but its numbers. */
function keyOf(line: string): string {
  return line
    .trim()
    .slice(0, 200)
    .replaceAll(/\p{N}+/gu, "#");
}
