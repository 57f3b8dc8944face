import * as v from "valibot";
import { FatalError, workflow } from "../../engine/index.ts";

/** Reads one page: a run of its own, with its own retries and its own place in the lists. */
export const bookPage = workflow("book-page", { input: v.object({ page: v.number(), text: v.string() }) })
  .step("clean", ({ page, text }) => {
    if (text === "") throw new FatalError(`Page ${page} is empty.`);
    return text.trim();
  })
  .step("count", (text) => ({ words: text.split(/\s+/).length }));

/** Reads a book, a child run for each page. Cancelled, it takes them with it; an empty page does not stop it. */
export const book = workflow("book", { input: v.object({ pages: v.array(v.string()) }) })
  .map("pages", {
    over: ({ pages }) => pages.map((text, i) => ({ page: i + 1, text })),
    limit: 20,
    onItemFailure: "collect",
    workflow: bookPage,
    input: (page) => page,
  })
  .step("sum", (pages) => pages.reduce((sum, page) => sum + (page.ok ? page.output.words : 0), 0));
