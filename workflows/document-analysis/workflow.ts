import * as v from "valibot";
import { ID_PATTERN, type Workflow, workflow } from "../../engine/index.ts";
import type { Analysed, Analysis, DocumentRef, Extracted, Identified, Segmented } from "./shapes.ts";

/** The media types that can be analysed. */
const DOCUMENT_TYPES = ["application/pdf", "text/plain", "text/markdown"] as const;

const document = v.object({
  id: v.pipe(v.string(), v.regex(ID_PATTERN, "A document's id is 1 to 64 of A-Z a-z 0-9 _ -")),
  name: v.pipe(v.string(), v.maxLength(1_000)),
  type: v.pipe(
    v.string(),
    // "text/plain; charset=utf-8" is text/plain.
    v.transform((type) => type.split(";")[0]!.trim().toLowerCase()),
    v.picklist(
      DOCUMENT_TYPES,
      ({ received }) =>
        `A document of type ${received} cannot be analysed: send a PDF, plain text (text/plain) or Markdown.`,
    ),
  ),
  size: v.pipe(v.number(), v.integer(), v.minValue(1, "The document is empty.")),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "sha256 is 64 lower-case hex digits.")),
});

/** A document of one of the types that can be analysed. */
interface Analysable extends DocumentRef {
  type: (typeof DOCUMENT_TYPES)[number];
}
type Input = { document: Analysable };

/** Reads a document: its title, language, key sentences, dates and amounts, and its text page by page. */
export const documentAnalysis: Workflow<
  Input,
  { identify: Identified; extract: Extracted; segment: Segmented; analyse: Analysed; report: Analysis },
  "report",
  "report",
  never,
  {
    identify: { input: Input; output: Identified };
    extract: { input: Identified; output: Extracted };
    segment: { input: Extracted; output: Segmented };
    analyse: { input: Segmented; output: Analysed };
    report: { input: Analysed; output: Analysis };
  },
  { document: DocumentRef }
> = workflow("document-analysis", { input: v.object({ document }) })
  .step("identify", { load: () => import("./steps/identify.ts"), timeoutMs: 60_000 })
  // Parsing is work for the processor: more at once would only take more memory.
  .step("extract", { load: () => import("./steps/extract.ts"), timeoutMs: 15 * 60_000, concurrency: 2 })
  .step("segment", { load: () => import("./steps/segment.ts") })
  .step("analyse", { load: () => import("./steps/analyse.ts") })
  .step("report", { load: () => import("./steps/report.ts"), timeoutMs: 60_000 });
