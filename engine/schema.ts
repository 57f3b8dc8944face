import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidInputError } from "./errors.ts";

/**
 * Checks a value against any Standard Schema (https://standardschema.dev) and returns what the schema makes of it.
 *
 * @throws InvalidInputError with one issue per place that does not fit
 */
export async function validate<S extends StandardSchemaV1>(
  schema: S,
  value: unknown,
  what: string,
): Promise<StandardSchemaV1.InferOutput<S>> {
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) return result.value;
  const issues = result.issues.slice(0, 50).map((issue) => ({
    path: (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)),
    message: issue.message,
  }));
  throw new InvalidInputError(`The ${what} does not fit its schema.`, issues);
}
