import type { Run } from "../../../client/types.ts";
import { useAsked } from "../ask.ts";
import type { GraphStep } from "./layout.ts";

interface Workflow {
  versions: { version: number; steps: GraphStep[] }[];
}

/** The steps of a run as its workflow's definition joins them. Where that is not known, side by side. */
export function useSteps(run: Run | undefined): readonly GraphStep[] {
  const path = run === undefined ? undefined : `/v1/workflows/${encodeURIComponent(run.workflow)}`;
  const { data, error } = useAsked<Workflow>(path);
  if (run === undefined) return [];
  const found = data?.versions.find(({ version }) => version === run.version)?.steps;
  if (found !== undefined) return found;
  // Until the answer comes there is nothing to be drawn twice.
  return data === undefined && error === undefined ? [] : Object.keys(run.steps).map((name) => ({ name, after: [] }));
}
