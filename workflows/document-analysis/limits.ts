/** What is looked at in one document; past any of these the run fails with a code that names the limit. */
export const LIMITS = {
  /** A PDF is parsed in memory, because its table of contents is at its end. */
  bytes: 200 * 1024 * 1024,
  pages: 5_000,
  /** No page that a person reads has as many; one that has was made to exhaust memory. */
  charactersPerPage: 1_000_000,
  characters: 20_000_000,
  /** Of the process that parses a PDF, with three times the PDF's size on top: what it unpacks is cached beside it. */
  parserBytes: 512 * 1024 * 1024,
  /** What the parser may take to open a PDF, and then for each page. */
  parserMs: 120_000,
} as const;
