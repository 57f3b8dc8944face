import type { AnyWorkflow } from "../engine/index.ts";
import { documentAnalysis } from "./document-analysis/workflow.ts";
import { embeddings } from "./embeddings/workflow.ts";
import { inference } from "./inference/workflow.ts";

export { documentAnalysis, embeddings, inference };

/** Every workflow that comes with Millrace. Their handlers are loaded by the workers that run them, not from here. */
export const shipped: AnyWorkflow[] = [documentAnalysis, inference, embeddings];
