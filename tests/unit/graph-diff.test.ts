import { any } from "valibot";
import { expect, test } from "vitest";
import { graphDifference } from "../../engine/graph-diff.ts";
import { workflow } from "../../engine/index.ts";

const base = () =>
  workflow("doc", { input: any() })
    .step("a", () => 1)
    .step("b", { after: ["a"], run: () => 2 })
    .step("c", { after: ["b"], run: () => 3 });

const one = base().graph;

test.each([
  ["a new step", base().step("d", () => 1), 'step "d" is new'],
  [
    "a step that is gone",
    workflow("doc", { input: any() })
      .step("a", () => 1)
      .step("b", () => 2),
    'step "c" is gone',
  ],
  [
    "a step at another place, and one of another kind",
    workflow("doc", { input: any() })
      .step("a", () => 1)
      .sleep("b", 5)
      .step("c", { after: ["a", "b"], run: () => 3 }),
    'step "b" is a sleep, and was a task; step "c" comes after "a" and "b", and came after "b"',
  ],
  [
    "a condition",
    workflow("doc", { input: any() })
      .step("a", () => 1)
      .step("b", { when: () => true, run: () => 2 })
      .step("c", { after: [], run: () => 3 }),
    'step "b" has a condition now; step "c" comes after nothing, and came after "b"',
  ],
  [
    "limits, and an undo",
    workflow("doc", { input: any() })
      .step("a", { limits: { concurrency: 1 }, run: () => 1 })
      .step("b", { after: ["a"], undo: () => undefined, run: () => 2 })
      .step("c", { after: ["b"], run: () => 3 }),
    'step "a" has limits now; step "b" has an undo now',
  ],
  [
    "only their order",
    workflow("doc", { input: any() })
      .step("a", () => 1)
      .step("c", { after: [], run: () => 3 })
      .step("b", { after: ["a"], run: () => 2 }),
    'step "c" comes after nothing, and came after "b"',
  ],
])("%s", (_, changed, expected) => {
  expect(graphDifference(one, changed.graph)).toBe(expected);
});

test("what a step has no more", () => {
  const [a, ...rest] = one.steps;
  const full = { ...one, steps: [{ ...a!, when: true as const, limits: true as const, undo: true as const }, ...rest] };
  expect(graphDifference(full, one)).toBe(
    'step "a" has no condition any more; step "a" has no limits any more; step "a" has no undo any more',
  );
});

test("the order alone, and no more than eight differences", () => {
  const [a, b, c] = one.steps;
  expect(graphDifference(one, { ...one, steps: [b!, a!, c!] })).toBe("the steps are in another order");
  const many = Array.from({ length: 12 }, (_, i) => ({ name: `s${i}`, after: [] }));
  expect(graphDifference({ ...one, steps: [] }, { ...one, steps: many })).toMatch(/step "s7" is new; and 4 more$/);
});
