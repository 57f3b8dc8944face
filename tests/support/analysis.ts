import { type BlobStore, bodyOf } from "../../engine/index.ts";
import { refOf } from "../../workflows/document-analysis/records.ts";
import type { Analysis, DocumentRef } from "../../workflows/document-analysis/shapes.ts";
import analyse from "../../workflows/document-analysis/steps/analyse.ts";
import extract from "../../workflows/document-analysis/steps/extract.ts";
import identify from "../../workflows/document-analysis/steps/identify.ts";
import report from "../../workflows/document-analysis/steps/report.ts";
import segment from "../../workflows/document-analysis/steps/segment.ts";
import { type RecordedContext, stepContext } from "./step-context.ts";

export const PDF = "application/pdf";

export async function store(
  blobs: BlobStore,
  name: string,
  type: string,
  content: string | Uint8Array,
): Promise<DocumentRef> {
  return refOf(await blobs.put({ tenant: "default", name, type }, bodyOf(content)));
}

/** The five handlers one after the other, each with what the one before it returned, through JSON as in a run. */
export async function analysed(
  blobs: BlobStore,
  document: DocumentRef,
  signal?: AbortSignal,
): Promise<{ result: Analysis; steps: Record<string, RecordedContext> }> {
  const steps: Record<string, RecordedContext> = {};
  const at = (step: string) => {
    steps[step] = stepContext(blobs, signal === undefined ? { step } : { step, signal });
    return steps[step];
  };
  const identified = json(await identify({ document }, at("identify")));
  const extracted = json(await extract(identified, at("extract")));
  const segmented = json(await segment(extracted, at("segment")));
  const found = json(await analyse(segmented, at("analyse")));
  const result = json(await report(found, at("report")));
  return { result, steps };
}

function json<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** A PDF whose pages each draw `content` (operators of ISO 32000-1). */
export function madePdf(content: string, pageCount = 1): string {
  const pages = Array.from({ length: pageCount }, (_, index) => `${index + 5} 0 R`);
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    `<</Type/Pages/Kids[${pages.join(" ")}]/Count ${pageCount}>>`,
    `<</Length ${content.length}>>\nstream\n${content}\nendstream`,
    "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ...pages.map(
      () => "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 3 0 R/Resources<</Font<</F1 4 0 R>>>>>>",
    ),
  ];
  let text = "%PDF-1.7\n";
  const offsets = objects.map((object, index) => {
    const offset = text.length;
    text += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, "0")} 00000 n \n`;
  });
  const start = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join("")}`;
  return `${text}trailer\n<</Size ${objects.length + 1}/Root 1 0 R>>\nstartxref\n${start}\n%%EOF\n`;
}
