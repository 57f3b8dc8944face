import { describe, expect, test } from "vitest";
import { decodeFloats, encodeFloats } from "../../../workflows/embeddings/floats.ts";
import { hashingVector } from "../../../workflows/embeddings/hashing.ts";
import { sharesOf } from "../../../workflows/embeddings/remote.ts";

const noPace = () => undefined;
const vectorOf = (text: string, dimensions = 512) => hashingVector(text, dimensions, noPace);
const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, each, i) => sum + each * b[i]!, 0);
const likeness = async (a: string, b: string) => cosine(await vectorOf(a), await vectorOf(b));

describe("the hashing model", () => {
  test.each(["A bridge over the river", "the", "?!", "橋は川の上にあります", "x".repeat(10_000)])(
    "gives a text its own vector of length 1, the same each time: %s",
    async (text) => {
      const [vector, again] = [await vectorOf(text), await vectorOf(text)];
      expect([...again]).toEqual([...vector]);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    },
  );

  test("has vectors of the length that is asked for", async () => {
    expect(await vectorOf("A bridge", 64)).toHaveLength(64);
    expect(Math.hypot(...(await vectorOf("A bridge", 1)))).toBeCloseTo(1, 5);
  });

  test("finds a text that speaks of the same before all that do not", async () => {
    const texts = [
      "The bridge over the river was built in 1894.",
      "Invoices are due within thirty days of delivery.",
      "Our cat sleeps on the warm window sill.",
      "The parliament passed the budget on Tuesday.",
    ];
    const questions = [
      "When was the river bridge built?",
      "When is an invoice due?",
      "Where do cats sleep?",
      "parlament budgets",
    ];
    for (const [i, question] of questions.entries()) {
      const scores = await Promise.all(texts.map((text) => likeness(question, text)));
      expect(scores.indexOf(Math.max(...scores)), question).toBe(i);
    }
  });

  test("sees through case, endings and slips, and not through synonyms", async () => {
    expect(await likeness("BRIDGES", "bridge")).toBeGreaterThan(0.9);
    expect(await likeness("a recieved letter", "a received letter")).toBeGreaterThan(0.5);
    expect(await likeness("automobile", "car")).toBeLessThan(0.3);
  });
});

describe("vectors as base64", () => {
  test("are 32-bit floats, little endian", () => {
    expect(encodeFloats([1, -2])).toBe("AACAPwAAAMA=");
    expect(decodeFloats("AACAPwAAAMA=")).toEqual([1, -2]);
  });

  test("come back as they were, long ones too", () => {
    const numbers = Float32Array.from({ length: 4_096 }, (_, i) => Math.sin(i) / 7);
    expect([...Float32Array.from(decodeFloats(encodeFloats(numbers)))]).toEqual([...numbers]);
  });
});

test.each([
  [10, [1, 1, 1]],
  [7, [1, 100]],
  [0, [5, 5]],
  [1, [1, 1, 1, 1]],
])("%i tokens are shared out by weight, whole and in all", (total, weights) => {
  const shares = sharesOf(total, weights);
  expect(shares.reduce((sum, each) => sum + each, 0)).toBe(total);
  expect(shares.every((share) => Number.isInteger(share) && share >= 0)).toBe(true);
});
