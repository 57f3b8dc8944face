import type { JsonSchema } from "@valibot/to-json-schema";

/** Later versions may have more fields, so clients are not told that there are no others. */
export function open<T>(schema: T): T {
  return JSON.parse(JSON.stringify(schema), (_, value) => {
    if (value?.additionalProperties === false) delete value.additionalProperties;
    return value;
  });
}

/** The named ones stand in one place for all. */
export function bare({ $schema: _, $defs: __, definitions: ___, ...schema }: JsonSchema): JsonSchema {
  return schema;
}

/** Where that place is. */
export const overrideRef = ({ referenceId }: { referenceId: string }) => `#/components/schemas/${referenceId}`;
