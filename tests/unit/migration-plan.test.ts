import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Graph, shapeOf } from "../../engine/graph.ts";
import {
  busyReason,
  isLive,
  type MigratingStep,
  type MigrationPlan,
  planMigration,
  sameSteps,
} from "../../engine/migration-plan.ts";

/** A graph from texts such as `c: a b`; a kind stands behind a slash. */
function graph(version: number, ...lines: string[]): Graph {
  const steps = lines.map((line) => {
    const [head, after = ""] = line.split(":");
    const [name, kind] = head!.split("/") as [string, "map" | "wait" | "sleep" | "child" | undefined];
    return { name, after: after.split(" ").filter((each) => each !== ""), ...(kind === undefined ? {} : { kind }) };
  });
  return { workflow: "w", version, steps };
}

/** Steps from texts such as `completed`, or `waiting timer:…`. */
function steps(records: Record<string, string>): Map<string, MigratingStep> {
  return new Map(
    Object.entries(records).map(([name, text]) => {
      const [status, place = "-", items] = text.split(" ") as [MigratingStep["status"], string?, string?];
      return [name, { status, place, hadItems: items === "items" }];
    }),
  );
}

const plan = (from: Graph, to: Graph, records: Record<string, string>, at: string[], given: string[] = []) =>
  planMigration(from, to, steps(records), { at, given: new Set(given) });

const chain = graph(1, "a", "b/wait: a", "c: b");

describe("a plan", () => {
  test("of a waiting step that both versions have: it keeps its place, and what is before it is kept", () => {
    const to = graph(2, "a", "b/wait: a", "check: b", "c: check");
    const found = plan(chain, to, { a: "completed", b: "waiting timer:wake|timeout|x" }, ["b"]);
    expect(found).toEqual({
      ...{ kept: ["a"], settled: [], live: [{ step: "b", keeps: true }] },
      ...{ joins: new Map(), ends: undefined, active: 0 },
    });
  });

  test("of a step that is new: it begins anew, and what the run was at is forgotten", () => {
    const to = graph(2, "a", "review: a", "c: review");
    expect(plan(chain, to, { a: "completed", b: "waiting timer:wake|timeout|x" }, ["review"])).toMatchObject({
      kept: ["a"],
      live: [{ step: "review", keeps: false }],
      active: undefined,
    });
  });

  test("of a step of another kind: it begins anew", () => {
    const to = graph(2, "a", "b/sleep: a", "c: b");
    expect(plan(chain, to, { a: "completed", b: "waiting timer:wake|timeout|x" }, ["b"])).toMatchObject({
      live: [{ step: "b", keeps: false }],
      active: 1,
    });
  });

  test("of a step further on: what lies between is completed where its output is given, else skipped", () => {
    const to = graph(2, "a", "x: a", "y: x", "z: y");
    expect(plan(chain, to, { a: "completed", b: "queued 1-1" }, ["z"], ["y"])).toMatchObject({
      kept: ["a"],
      settled: [
        { step: "x", status: "skipped" },
        { step: "y", status: "completed" },
      ],
    });
    expect(plan(chain, to, { a: "completed", b: "queued 1-1" }, ["z"])).toBe(
      'step "z" has no input, since "y" has no output: give it in outputs',
    );
  });

  test("of a step further back: what comes after it is forgotten", () => {
    expect(plan(chain, { ...chain, version: 2 }, { a: "completed", b: "waiting timer:wake|timeout|x" }, ["a"])).toEqual(
      {
        ...{ kept: [], settled: [], live: [{ step: "a", keeps: false }] },
        ...{ joins: new Map(), ends: undefined, active: 1 },
      },
    );
  });

  test("counts joins, ends and what is at work", () => {
    const from = graph(1, "a", "b: a", "c/wait: a", "d: b c");
    const to = graph(2, "a", "b: a", "c/wait: a", "e: a", "d: b c e", "f: b");
    const run = { a: "completed", b: "completed", c: "waiting timer:wake|timeout|x" };
    expect(plan(from, to, run, ["c", "e", "f"])).toMatchObject({
      kept: ["a", "b"],
      joins: new Map([["d", "1 1"]]),
      ends: 0,
      active: 2,
    });
    expect(plan(from, to, run, ["c", "e"], ["f"])).toMatchObject({
      settled: [{ step: "f", status: "completed" }],
      ends: 1,
      active: 1,
    });
  });

  test("skips what only skipped steps lead to", () => {
    const from = graph(1, "a", "b: a", "c/wait: a");
    const to = graph(2, "a", "b: a", "b2: b", "c/wait: a");
    expect(plan(from, to, { a: "completed", b: "skipped", c: "waiting timer:wake|timeout|x" }, ["c"])).toMatchObject({
      kept: ["a", "b"],
      settled: [{ step: "b2", status: "skipped" }],
    });
  });
});

describe("is refused", () => {
  const to = graph(2, "a", "b/wait: a", "c: b", "side");
  const run = { a: "completed", b: "waiting timer:wake|timeout|x" };
  test.each([
    ["a step that there is not", ["nope"], [], 'version 2 has no step "nope": it has a, b, c, side'],
    ["an output of a step that there is not", ["b"], ["nope"], 'version 2 has no step "nope": it has a, b, c, side'],
    ["no step", [], [], "at names no step"],
    ["one twice", ["b", "b"], [], "at names a step twice"],
    ["one and another after it", ["a", "b"], [], 'a run cannot be at step "a" and at one that comes after it'],
    ["an output of what is yet to come", ["b"], ["c"], 'outputs has step "c", which does not come before those in at'],
    ["an output of where it is", ["b", "side"], ["b"], 'outputs has step "b", which does not come before those in at'],
    [
      "a step that nothing would begin",
      ["b"],
      [],
      'step "side" would never begin, since nothing before it is left to be done: name it in at',
    ],
  ])("%s", (_, at, given, message) => {
    expect(plan(chain, to, run, at, given)).toBe(message);
  });

  test("a map that has run already", () => {
    const maps = graph(1, "a", "m/map: a", "b/wait: m");
    const records = { a: "completed", m: "completed - items", b: "waiting timer:wake|timeout|x" };
    expect(plan(maps, { ...maps, version: 2 }, records, ["m"])).toMatch(/items of step "m" are done, and are not/);
    expect(plan(maps, { ...maps, version: 2 }, records, ["a"])).toMatch(/items of step "m" are done, and would be/);
    expect(plan(maps, { ...maps, version: 2 }, records, ["b"])).toMatchObject({ kept: ["a", "m"] });
  });
});

describe("is busy", () => {
  test.each([
    ["running 1-1", `step "s" is in a worker's hands`],
    ["running items", 'the items of step "s" are under way'],
    ["waiting timer:wake|child|t|r|w|1|s||x", 'step "s" waits for a child run'],
    ["waiting timer:wake|detached|t|r|w|1|s||x", 'step "s" waits for a child run'],
    ["retrying timer:wake|child|t|r|w|1|s||1-1", 'step "s" waits for a child run'],
    ["waiting timer:wake|parked|t|r|w|1|s||1-1", 'step "s" is parked'],
    ["waiting timer:wake|timeout|t|r|w|1|s||1-1", undefined],
    ["waiting timer:wake|sleep|t|r|w|1|s||1-1", undefined],
    ["retrying timer:wake|retry|t|r|w|1|s||1-1", undefined],
    ["queued 1-1", undefined],
    ["queued gate:k|1|RUN||t|0|0|2", undefined],
    ["completed", undefined],
  ])("%s", (record, reason) => {
    expect(busyReason(steps({ s: record }))).toBe(reason);
  });
});

describe("by itself a run goes on at the same steps", () => {
  const run = steps({ a: "completed", b: "waiting timer:wake|timeout|x" });
  test("if what it has come to is alike in both versions", () => {
    const to = graph(2, "a", "b/wait: a", "new: b", "c: new");
    expect(sameSteps(chain, to, run)).toEqual({ at: ["b"], given: new Set() });
  });

  test.each([
    ["a step is gone", graph(2, "a", "c: a"), 'version 2 has no step "b"'],
    ["a step is of another kind", graph(2, "a", "b: a", "c: b"), 'step "b" is a task in version 2, and was a wait'],
    ["a step came between", graph(2, "a", "x: a", "b/wait: x"), 'step "b" comes after other steps in version 2'],
    ["a step was put before all", graph(2, "x", "a: x", "b/wait: a"), 'step "a" comes after other steps in version 2'],
  ])("not if %s", (_, to, reason) => {
    expect(sameSteps(chain, to, run)).toBe(reason);
  });
});

test("whatever is moved where, what is left to be done can be done to the end", () => {
  const graphs = fc
    .array(fc.array(fc.nat(6), { maxLength: 3 }), { minLength: 1, maxLength: 7 })
    .map((afters) =>
      graph(
        2,
        ...afters.map((after, i) => `s${i}: ${[...new Set(after.filter((n) => n < i))].map((n) => `s${n}`).join(" ")}`),
      ),
    );
  const records = fc.dictionary(
    fc.constantFrom("s0", "s1", "s2", "s3", "s4", "s5", "s6"),
    fc.constantFrom("completed", "skipped", "queued 1-1", "waiting timer:wake|timeout|x"),
  );
  const names = fc.uniqueArray(fc.constantFrom("s0", "s1", "s2", "s3", "s4", "s5", "s6"), { maxLength: 3 });
  let plans = 0;
  fc.assert(
    fc.property(graphs, records, names, names, (to, run, at, given) => {
      const found = plan({ ...to, version: 1 }, to, run, at, given);
      if (typeof found === "string") return;
      plans += 1;
      expect(playOut(to, found)).toBe(true);
    }),
    { numRuns: 20_000 },
  );
  expect(plans).toBeGreaterThan(100);
});

/** Ends one live step after the other, as the script of commits does: whether every step ends once, and the run with the last. */
function playOut(to: Graph, { kept, settled, live, joins, ends, active }: MigrationPlan): boolean {
  const shape = shapeOf(to);
  const done = new Set([...kept, ...settled.map(({ step }) => step)]);
  const open = live.map(({ step }) => step);
  const came = new Map([...joins].map(([step, text]) => [step, Number(text.split(" ")[0])]));
  let left = shape.ends.length - (ends ?? 0);
  if ((active ?? live.length) > live.length) return false;
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    if (done.has(step)) return false;
    done.add(step);
    const { next } = shape.byName.get(step)!;
    if (next.length === 0) left -= 1;
    for (const index of next) {
      const following = shape.steps[index]!;
      const count = (came.get(following.name) ?? 0) + 1;
      came.set(following.name, count);
      if (count === following.after.length) open.push(following.name);
    }
  }
  return done.size === to.steps.length && left === 0;
}

test("only live steps are live", () => {
  expect(["queued", "waiting", "completed", "skipped"].map((status) => isLive(steps({ s: status }).get("s")))).toEqual([
    ...[true, true, false, false],
  ]);
  expect(isLive(undefined)).toBe(false);
});
