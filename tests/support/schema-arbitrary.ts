import fc from "fast-check";

export interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  enum?: unknown[];
  const?: unknown;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
}

const times = fc
  .date({ min: new Date("2020-01-01"), max: new Date("2035-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString());

/** Values that fit a JSON schema of ours. */
export function fitting(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const either = schema.oneOf ?? schema.anyOf;
  if (either !== undefined) return fc.oneof(...either.map(fitting));
  switch (schema.type) {
    case "object":
      return objects(schema);
    case "array":
      return fc.array(fitting(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 5, 5),
      });
    case "string":
      return strings(schema);
    case "integer":
      return fc.integer({ min: schema.minimum ?? -1_000, max: Math.min(schema.maximum ?? 1_000, 2 ** 31) });
    case "number":
      return fc.double({ min: schema.minimum ?? -1_000, max: schema.maximum ?? 1_000, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

function objects({ properties = {}, required = [], additionalProperties }: Schema): fc.Arbitrary<unknown> {
  const known = fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, fitting(schema)])),
    { requiredKeys: required },
  );
  if (typeof additionalProperties !== "object") return known;
  const more = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fitting(additionalProperties), { maxKeys: 3 });
  return fc.tuple(more, known).map(([more, known]) => ({ ...more, ...known }));
}

function strings({ pattern, format, minLength = 0, maxLength = 20 }: Schema): fc.Arbitrary<string> {
  if (format === "date-time") return times;
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  return fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength, 40)), unit: "grapheme" });
}

/** Any JSON, or something that fits but for one change: a part that is of another type, is missing, or is one too many. */
export function broken(schema: Schema): fc.Arbitrary<unknown> {
  const changed = fc.tuple(fitting(schema), fc.nat(), fc.jsonValue({ maxDepth: 1 }), fc.boolean());
  return fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    changed.map(([value, which, other, drops]) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return other;
      const copy: Record<string, unknown> = { ...value };
      const names = [...Object.keys(schema.properties ?? {}), "unknown"];
      const name = names[which % names.length]!;
      if (drops) delete copy[name];
      else copy[name] = other;
      return copy;
    }),
  );
}
