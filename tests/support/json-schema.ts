/** For `JSON.parse(JSON.stringify(…), closed)`: what clients are told is open; that nothing else comes is for tests. */
export function closed(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("properties" in value)) return value;
  return { additionalProperties: false, ...value };
}

/** A part of a path in a document, as it stands in the fragment of a reference. */
export const pointer = (part: string) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));
