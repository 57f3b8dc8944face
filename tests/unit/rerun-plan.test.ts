import { expect, test } from "vitest";
import type { Graph } from "../../engine/graph.ts";
import { keptCounts, rerunPlan } from "../../engine/rerun-plan.ts";

/** `a>b` is a step b after a. */
function graph(text: string): Graph {
  const steps = text.split(" ").map((word) => {
    const [before, name] = word.includes(">") ? word.split(">") : ["", word];
    return { name: name!, after: before === "" ? [] : before!.split("+") };
  });
  return { workflow: "w", version: 1, steps };
}

const chain = "a a>b b>c";
// a splits into b and c, which d joins; e is beside them all.
const diamond = "a a>b a>c b+c>d e";

test.each([
  [chain, "a", "abc", { keep: "", start: "a", missing: "" }],
  [chain, "b", "abc", { keep: "a", start: "b", missing: "" }],
  [chain, "c", "ab", { keep: "ab", start: "c", missing: "" }],
  [chain, "c", "a", { keep: "a", start: "b", missing: "b" }],
  [chain, "b", "", { keep: "", start: "a", missing: "a" }],
  [diamond, "b", "abcde", { keep: "ace", start: "b", missing: "" }],
  [diamond, "d", "abcde", { keep: "abce", start: "d", missing: "" }],
  [diamond, "a", "abcde", { keep: "e", start: "a", missing: "" }],
  // What had not completed elsewhere starts as well.
  [diamond, "b", "a", { keep: "a", start: "bce", missing: "" }],
  [diamond, "d", "abe", { keep: "abe", start: "c", missing: "c" }],
])("%s from %s, when %s had completed", (text, from, settled, expected) => {
  const { keep, start, missing } = rerunPlan(graph(text), from, (step) => (settled.includes(step) ? "completed" : "x"));
  expect({ keep: keep.join(""), start: start.join(""), missing: missing.join("") }).toEqual(expected);
});

test.each([
  [chain, "b", "a", "", {}],
  [diamond, "b", "ace", "", { active: "1", "join:d": "1 1", ends: "1" }],
  [diamond, "d", "ab", "ce", { active: "1", "join:d": "2 1", ends: "1" }],
  [diamond, "a", "", "", { active: "2" }],
])(
  "%s from %s, when %s had completed and %s was skipped: what is counted",
  (text, from, completed, skipped, counts) => {
    const statusOf = (step: string) =>
      completed.includes(step) ? "completed" : skipped.includes(step) ? "skipped" : "x";
    const drawn = graph(text);
    expect(keptCounts(drawn, rerunPlan(drawn, from, statusOf), statusOf)).toEqual(counts);
  },
);

test("a step that only skipped ones come before cannot be begun from", () => {
  const statusOf = (step: string) => (step === "b" ? "skipped" : "completed");
  expect(rerunPlan(graph(chain), "c", statusOf).missing).toEqual(["b"]);
});
