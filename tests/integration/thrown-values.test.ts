import * as v from "valibot";
import { expect, test } from "vitest";
import { FatalError, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";

const circular: { self?: object } = {};
circular.self = circular;
const withThat = (property: PropertyDescriptorMap) => Object.defineProperties(new FatalError("that"), property);
const unreadable = {
  get(): never {
    throw new Error("not to be read");
  },
};

const thrown: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  text: () => "that",
  symbol: () => Symbol("that"),
  bigint: () => 1n,
  circular: () => circular,
  "no prototype": () => Object.create(null),
  "message 42": () => withThat({ message: { value: 42 } }),
  "message unreadable": () => withThat({ message: unreadable }),
  "name circular": () => withThat({ name: { value: circular } }),
  "stack 5": () => withThat({ stack: { value: 5 } }),
  "its own cause": () => {
    const error: Error = new FatalError("that");
    error.cause = error;
    return error;
  },
};

test("whatever a handler throws, its run fails with a readable error and the worker goes on", async () => {
  const throws = workflow("throws", { input: v.object({ what: v.string() }) }).step("throw", {
    retry: { attempts: 1 },
    run: ({ what }) => {
      throw thrown[what]!();
    },
  });
  await using engine = await engineUnderTest([throws]);
  await engine.worker();
  for (const what of Object.keys(thrown)) {
    const { id } = await engine.millrace.runs.start(throws, { what });
    const { status, error } = await engine.ended(id);
    expect([what, status, typeof error?.name, typeof error?.message]).toEqual([what, "failed", "string", "string"]);
  }
});
