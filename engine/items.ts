import { InvalidInputError } from "./errors.ts";
import type { StepKind } from "./graph.ts";
import { CHUNK, chunkOf } from "./keys.ts";
import { stepWords, withoutStack } from "./run-record.ts";
import type { Store } from "./store.ts";
import type { Values } from "./values.ts";
import type { ItemView, Page, PageOptions } from "./views.ts";

interface ItemsOf {
  run: string;
  step: string;
  kind: StepKind;
  tenant: string;
  /** The fields of the run. */
  fields: Record<string, string>;
}

/** A page of a step's items, in order. The cursor is the number of the first. */
export async function pageOfItems(
  store: Store,
  values: Values,
  { run, step, kind, tenant, fields }: ItemsOf,
  { limit = 20, cursor = "0" }: PageOptions,
): Promise<Page<ItemView>> {
  if (!Number.isInteger(limit) || limit < 1 || limit > 100)
    throw invalid("limit", "Expected a whole number from 1 to 100");
  if (!/^\d{1,6}$/.test(cursor)) throw invalid("cursor", "Expected the next of an earlier page");
  const [total = 0, started = 0] = fields[`items:${step}`]?.split(" ").map(Number) ?? [];
  // A loop has only the turns that it has come to.
  const count = kind === "map" ? total : started;
  const from = Number(cursor);
  const to = Math.min(from + limit, count);
  if (from >= to) return { data: [] };
  const live = await store.readLiveItems(run, step);
  const chunks = [];
  for (let chunk = chunkOf(from); chunk * CHUNK < to; chunk += 1)
    chunks.push(values.itemResults(run, step, chunk, count));
  const data: ItemView[] = [];
  for (const { item, output, error } of (await Promise.all(chunks)).flat()) {
    if (item < from || item >= to) continue;
    const record = live[`${item}`];
    const view: ItemView = { item, status: output !== null ? "completed" : error !== null ? "failed" : "pending" };
    if (record !== undefined) {
      const { status, attempt } = stepWords(record);
      Object.assign(view, { status, attempt });
      const progress = live[`p${item}`];
      if (progress !== undefined) view.progress = Number(progress) / 1_000;
    }
    if (output !== null) view.output = await values.get(tenant, output);
    else if (error !== null) view.error = withoutStack(error);
    data.push(view);
  }
  return to < count ? { data, next: `${to}` } : { data };
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`${path}: ${message}`, [{ path: [path], message }]);
}
