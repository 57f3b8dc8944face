import * as v from "valibot";
import { PRIORITIES, parseCursor } from "../engine/index.ts";

/** `limit` and `cursor` of every list. */
export const pageQuery = {
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[0-9]{1,3}$/, "A whole number from 1 to 100."),
      v.transform(Number),
      v.minValue(1, "1 is the least."),
      v.maxValue(100, "100 is the most."),
    ),
  ),
  cursor: v.optional(v.pipe(v.string(), v.maxLength(200))),
};

/** How soon a run's steps are read where much waits. */
export const priority = v.optional(v.picklist(PRIORITIES, `One of ${PRIORITIES.join(", ")}.`));

/** Fields of the contract that the engine cannot honour yet are refused: to ignore them would be a broken promise. */
export const unsupportedDelay = v.optional(v.never("Delayed starts are not supported yet."));

/** Where in a run's events to begin: the number of the last one seen, or its cursor. */
export const after = v.pipe(
  v.string(),
  v.check((text) => parseCursor(text) !== undefined, "An event's number, or its cursor."),
);
