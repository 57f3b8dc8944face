/** What the process that parses a PDF says on its standard output, a line of JSON each: `Opened`, then every page. */
export type Message = Opened | Page | Refused;

export interface Opened {
  pageCount: number;
  title?: string;
  warnings: string[];
}

export interface Page {
  page: number;
  text: string;
  /** Of the first page, if it has one. */
  heading?: string;
}

/** Instead of what would come next; nothing comes after it. */
export interface Refused {
  refused: { code: string; message: string; cause?: string };
}

/** Said on standard error before the process is ended for its memory. JavaScript engines that give up say it too. */
export const OUT_OF_MEMORY = /out of memory/i;
