import { describe, expect, test } from "vitest";
import { parseJson } from "../../gateway/json.ts";

const refusal = (text: string): unknown => {
  try {
    return parseJson(text, "body");
  } catch (error) {
    return (error as Error).message;
  }
};

describe("JSON from outside", () => {
  test.each([
    ["an object", '{"a":{"a":[1,{"a":null}]},"b":"\\"{[\\\\"}'],
    ["keys that look like others within strings", '{"a":"\\"b\\":","b":1}'],
    ["the same key in two objects", '[{"a":1},{"a":2}]'],
    ["a lone value", ' "__proto__" '],
    ["64 levels", "[".repeat(64) + "]".repeat(64)],
  ])("is taken: %s", (_, text) => {
    expect(parseJson(text, "body")).toEqual(JSON.parse(text));
  });

  test.each([
    ["nothing", "", /not JSON/],
    ["a cut one", '{"a":', /not JSON/],
    ["an open string", '{"a":"b', /not JSON/],
    ["a string that ends in a backslash", '{"a\\', /not JSON/],
    ["65 levels", "[".repeat(65) + "]".repeat(65), /64 levels/],
    ["a million levels", "[".repeat(1_000_000), /64 levels/],
    ["__proto__", '{"a":{"__proto__" :{}}}', /__proto__/],
    ["__proto__, written otherwise", '{"__pr\\u006fto__":1}', /__proto__/],
    ["a key twice", '{"a":1,"b":{"a":1},"a":2}', /twice/],
    ["a key twice, written otherwise", '{"a":1,"\\u0061":2}', /twice/],
  ])("is refused: %s", (_, text, message) => {
    expect(refusal(text)).toMatch(message);
  });
});
