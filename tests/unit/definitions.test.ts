import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { type AnyWorkflow, connect, workflow } from "../../engine/index.ts";

const input = v.object({ list: v.array(v.number()) });
const flow = workflow("flow", { input });
const run = () => 1;
const over = () => [1];
const schema = v.string();

describe("a graph", () => {
  test("has each step's kind, what it comes after, and whether it may be skipped", () => {
    const inner = workflow("inner", { input: v.number() }).step("a", run);
    const { graph } = flow
      .step("a", run)
      .step("b", { after: ["a"], when: () => true, run })
      .map("c", { after: ["a"], over, run })
      .repeat("d", { after: ["b", "c"], run, until: () => true, max: 2 } as never)
      .sleep("e", 1_000)
      .waitFor("f", { schema })
      .child("g", { workflow: inner, input: () => 1 })
      .map("h", { after: [], over, workflow: inner, input: (n) => n });
    expect(graph.steps).toEqual([
      { name: "a", after: [] },
      { name: "b", after: ["a"], when: true },
      { name: "c", after: ["a"], kind: "map" },
      { name: "d", after: ["b", "c"], kind: "repeat" },
      { name: "e", after: ["d"], kind: "sleep" },
      { name: "f", after: ["e"], kind: "wait" },
      { name: "g", after: ["f"], kind: "child" },
      { name: "h", after: [], kind: "map" },
    ]);
  });

  test("has defaults", () => {
    const [map] = flow.map("m", { over, run }).steps;
    expect(map).toMatchObject({ work: { limit: 10, onItemFailure: "fail" }, timeoutMs: 300_000, crashes: 3 });
    expect(map!.retry).toMatchObject({ attempts: 5, baseMs: 1_000, backoff: "exponential", jitter: "full" });
  });
});

describe("what cannot work is refused where it is written", () => {
  const of = (step: string) => `Step "${step}" of workflow "flow"`;
  const loop = (settings: object) => () => flow.repeat("a", { run, until: () => true, max: 2, ...settings } as never);
  const map = (settings: object) => () => flow.map("a", { over, run, ...settings } as never);
  const sleep = (settings: unknown) => () => flow.sleep("a", settings as never);
  const wait = (settings: unknown) => () => flow.waitFor("a", settings as never);
  const inner = workflow("inner", { input: v.any() }).step("a", run);
  const child = (settings: unknown) => () => flow.child("a", settings as never);

  test.each<[string, () => unknown, string | RegExp]>([
    [
      "after an unknown step",
      () => flow.step("a", { after: ["b"] as never, run }),
      /"a" comes after "b", which is no step/,
    ],
    ["after itself", () => flow.step("a", { after: ["a"] as never, run }), /goes in circles: a → a/],
    [
      "after one twice",
      () => flow.step("a", run).step("b", { after: ["a", "a"], run }),
      /"b" names "a" twice in after/,
    ],
    ["after no list", () => flow.step("a", { after: "b" as never, run }), `${of("a")}: after must be a list`],
    ["a condition that is none", () => flow.step("a", { when: true as never, run }), /when must be a function/],
    ["two steps of one name", () => flow.step("a", run).map("a", { over, run }), `${of("a")}: the name is taken`],
    ["the name __proto__", () => flow.step("__proto__", run), /and not "__proto__"/],
    ["a workflow's name", () => workflow("__proto__", { input }), /Workflow "__proto__": a name is/],
    ["a handler twice", () => flow.step("a", { run, load: run } as never), /give run or load, not both/],
    ["a map over nothing", map({ over: [1] }), `${of("a")}: over must be a function`],
    ["a limit of 0", map({ limit: 0 }), /limit must be a whole number from 1 to 1000/],
    ["a limit above 1000", map({ limit: 1_001 }), /limit must be a whole number from 1 to 1000/],
    ["a limit that is no number", map({ limit: "3" }), /limit must be a whole number/],
    ["another onItemFailure", map({ onItemFailure: "skip" }), /onItemFailure must be "fail" or "collect"/],
    ["a map with a handler and a workflow", map({ workflow: inner, input: run }), /a handler or a workflow, not both/],
    ["a map without either", map({ run: undefined }), /no handler function/],
    ["a map of nothing", () => flow.map("a", undefined as never), `${of("a")}: give its settings`],
    ["a loop without an end", loop({ until: undefined }), /until must be a function/],
    ["a loop without a bound", loop({ max: undefined }), /max must be a whole number from 1 to 10000/],
    ["a loop above the bound", loop({ max: 10_001 }), /max must be a whole number from 1 to 10000/],
    ["a negative sleep", sleep(-1), /a time is from 0 ms to 366 days/],
    ["a sleep above a year", sleep({ for: 367 * 86_400_000 }), /a time is from 0 ms to 366 days/],
    ["a sleep until no date", sleep({ until: "tomorrow" }), /not tomorrow/],
    ["a sleep until a time without its zone", sleep({ until: "2030-01-01T10:00" }), /ISO 8601 with its zone/],
    ["a sleep until an invalid date", sleep({ until: new Date(Number.NaN) }), /not Invalid Date/],
    ["a sleep for and until", sleep({ for: 1, until: "2030-01-01" }), /give for or until/],
    ["a sleep for nothing", sleep({}), /give for or until/],
    ["no sleep at all", sleep(undefined), /give its settings/],
    ["a wait without a schema", wait({}), `${of("a")}: schema must be a Standard Schema`],
    ["a wait of no time", wait({ schema, timeoutMs: 0 }), /timeoutMs must be a whole number of ms/],
    ["a wait until a date", wait({ schema, timeoutMs: "2030-01-01" }), /timeoutMs must be a whole number of ms/],
    ["a wait above a year", wait({ schema, timeoutMs: 367 * 86_400_000 }), /from 1 to 366 days/],
    ["a child of nothing", child({ input: run }), /workflow must be a definition/],
    ["a child without an input", child({ workflow: inner }), /input must be a function/],
    [
      "another onFailure",
      child({ workflow: inner, input: run, onFailure: "x" }),
      /onFailure must be "fail" or "collect"/,
    ],
    ["another onCancel", child({ workflow: inner, input: run, onCancel: "x" }), /onCancel must be "cancel" or "leave"/],
    ["a backoff", () => flow.step("a", { run, retry: { backoff: "linear" as never } }), /retry.backoff must be/],
    ["a jitter", () => flow.step("a", { run, retry: { jitter: "half" as never } }), /retry.jitter must be/],
    ["a ceiling below the base", () => flow.step("a", { run, retry: { baseMs: 2, maxMs: 1 } }), /baseMs <= maxMs/],
  ])("%s", (_, define, message) => {
    expect(define).toThrow(expect.objectContaining({ name: "DefinitionError", code: "definition" }));
    expect(define).toThrow(message);
  });

  test("a hundred and one steps", () => {
    let many: AnyWorkflow & { step(name: string, handler: () => number): typeof many } = flow as never;
    for (let i = 0; i < 100; i += 1) many = many.step(`s${i}`, run);
    expect(() => many.step("more", run)).toThrow("a workflow has 100 steps at the most");
  });
});

describe("definitions that are made by hand", () => {
  /** A workflow with that graph, past what the methods would have refused. */
  const made = (...steps: [name: string, after: string[]][]): AnyWorkflow => {
    const [step] = flow.step("a", run).steps;
    const named = steps.map(([name, after]) => ({ ...step!, name, after }));
    return {
      ...flow,
      name: "made",
      version: 1,
      input,
      steps: named,
      settings: flow.settings,
      graph: { workflow: "made", version: 1, steps: named.map(({ name, after }) => ({ name, after })) },
    } as AnyWorkflow;
  };

  test.each<[string, AnyWorkflow, string]>([
    ["go in a circle", made(["a", ["c"]], ["b", ["a"]], ["c", ["b"]]), 'Workflow "made" goes in circles: '],
    ["go in a circle behind a start", made(["start", []], ["a", ["start", "b"]], ["b", ["a"]]), "a → b → a"],
    ["name one twice", made(["a", []], ["a", []]), 'Workflow "made" has two steps named "a"'],
    ["come after nothing", made(["a", ["gone"]]), 'Workflow "made": step "a" comes after "gone", which is no step'],
    ["have an odd name", made(["a|b", []]), 'Workflow "made": step "a|b": a name is'],
    ["have the name that no object holds", made(["__proto__", []]), 'not "__proto__"'],
    ["have no steps", made(), 'Workflow "made" has no steps'],
  ])("are refused by connect(): steps that %s", async (_, definition, message) => {
    await expect(connect({ url: "redis://127.0.0.1:1", workflows: [definition] })).rejects.toThrow(message);
  });

  test("a child is looked at as well", async () => {
    const bad = made(["a", ["a"]]);
    const parent = flow.child("c", { workflow: bad as typeof flow, input: (given) => given });
    await expect(connect({ url: "redis://127.0.0.1:1", workflows: [parent] })).rejects.toThrow("a → a");
  });
});
