import * as v from "valibot";
import { DURABILITIES, ID_PATTERN, PRIORITIES, RUN_STATUSES } from "../../engine/index.ts";

/** ISO 8601 with milliseconds. */
export const time = v.pipe(v.string(), v.isoTimestamp());
export const id = v.pipe(v.string(), v.regex(ID_PATTERN));
export const count = v.pipe(v.number(), v.minValue(0));
export const json = v.unknown();
export const metadata = v.record(v.string(), v.unknown());
export const runStatus = v.picklist(RUN_STATUSES);
export const priorityName = v.picklist(PRIORITIES);
export const tags = v.array(v.string());

const oneError = {
  name: v.string(),
  message: v.string(),
  code: v.optional(v.string()),
  stack: v.optional(v.string()),
};
export type ErrorShape = { name: string; message: string; code?: string; stack?: string; cause?: ErrorShape };
/** What an attempt failed with. */
export const errorRecord: v.GenericSchema<ErrorShape> = v.strictObject({
  ...oneError,
  cause: v.optional(v.lazy(() => errorRecord)),
});

export const usage = v.strictObject({ tokens: count, cost: count });
export const budget = v.strictObject({ tokens: v.optional(count), cost: v.optional(count) });

/** A problem as `application/problem+json` (RFC 9457). */
export const problem = v.strictObject({
  type: v.string(),
  title: v.string(),
  status: v.number(),
  detail: v.string(),
  errors: v.optional(v.array(v.strictObject({ path: v.array(v.string()), message: v.string() }))),
  run: v.optional(v.string()),
});

/** A page of a list. */
export const page = <S extends v.GenericSchema>(of: S) =>
  v.strictObject({ data: v.array(of), next: v.optional(v.string()) });

export const runLinksView = v.strictObject({ self: v.string(), events: v.string(), cancel: v.string() });

/** A run that was accepted. */
export const acceptedRun = {
  id,
  workflow: v.string(),
  version: v.number(),
  status: runStatus,
  durability: v.picklist(DURABILITIES),
  links: runLinksView,
};

/** What was said to a run. */
export const toldRun = v.strictObject({ id, links: runLinksView });
