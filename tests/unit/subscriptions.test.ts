import { describe, expect, expectTypeOf, test } from "vitest";
import type { Millrace, RunEvent, SubscribedEvent, SubscriptionContext } from "../../engine/index.ts";
import { parseDelivery } from "../../engine/subscriptions/delivery.ts";
import {
  encodeSettings,
  parseSettings,
  type SubscriptionOptions,
  subscriptionSettings,
} from "../../engine/subscriptions/settings.ts";

describe("settings", () => {
  test("by default every event but progress and output, up to 64 MB", () => {
    const { events, maxBytes, ...rest } = subscriptionSettings({ group: "a" });
    expect(events).toContain("run.completed");
    expect(events).not.toContain("step.progress");
    expect(events).not.toContain("step.output");
    expect([maxBytes, rest]).toEqual([67_108_864, { group: "a" }]);
  });

  test("the same settings are the same text, and are read again as they were", () => {
    const a = subscriptionSettings({ group: "a", events: ["run.failed", "run.queued"], steps: ["y", "x", "y"] });
    const b = subscriptionSettings({ group: "a", steps: ["x", "y"], events: ["run.queued", "run.failed"] });
    expect(encodeSettings(a)).toBe(encodeSettings(b));
    expect(parseSettings("a", encodeSettings(a))).toEqual(b);
  });

  test.each([
    [{ group: "" }, "group"],
    [{ group: "a b" }, "group"],
    [{ group: "a".repeat(49) }, "group"],
    [{ group: 1 }, "group"],
    [{ group: "a", events: [] }, "events"],
    [{ group: "a", events: ["run.done"] }, "events"],
    [{ group: "a", events: "run.queued" }, "events"],
    [{ group: "a", workflows: ["x y"] }, "workflows"],
    [{ group: "a", workflows: [7] }, "workflows"],
    [{ group: "a", steps: Array.from({ length: 101 }, (_, i) => `s${i}`) }, "steps"],
    [{ group: "a", tenant: "a|b" }, "tenant"],
    [{ group: "a", maxBytes: 1 }, "maxBytes"],
    [{ group: "a", maxBytes: 20_000.5 }, "maxBytes"],
    [{ group: "a", maxBytes: 1e12 }, "maxBytes"],
  ])("%j is refused", (options, path) => {
    expect(() => subscriptionSettings(options as unknown as SubscriptionOptions)).toThrow(
      expect.objectContaining({ code: "invalid_input", issues: [expect.objectContaining({ path: [path] })] }),
    );
  });
});

describe("an entry of a stream", () => {
  const of = {
    run: "R",
    tenant: "t",
    workflow: "w",
    version: "2",
    seq: "7",
    line: '1700000000000 {"type":"run.queued"}',
  };
  const fields = (more: Record<string, string | undefined> = {}) =>
    Object.entries({ ...of, ...more }).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));

  test("is an event of the run, with its workflow and tenant", () => {
    expect(parseDelivery("1-1", 1, fields())).toEqual({
      ...{ id: "1-1", count: 1, failures: 0, crashes: 0 },
      event: {
        ...{ seq: 7, cursor: expect.stringMatching(/^7-/), run: "R", type: "run.queued" },
        ...{ at: "2023-11-14T22:13:20.000Z", workflow: "w", version: 2, tenant: "t" },
      },
    });
  });

  test("each delivery but the first is a crash, beside those that it brings", () => {
    expect(parseDelivery("1-1", 3, fields({ failures: "2", crashes: "1" }))).toMatchObject({ failures: 2, crashes: 3 });
  });

  test.each([{ run: undefined }, { line: undefined }, { line: "odd" }, { failures: "many" }, { tenant: undefined }])(
    "that no script of ours has written is none: %j",
    (more) => {
      expect(parseDelivery("1-1", 1, fields(more))).toBeUndefined();
    },
  );
});

test("types", () => {
  type Handler = Parameters<Millrace["subscribe"]>[1];
  expectTypeOf<Parameters<Handler>>().toEqualTypeOf<[SubscribedEvent, SubscriptionContext]>();
  expectTypeOf<SubscribedEvent["type"]>().toEqualTypeOf<RunEvent["type"]>();
  const options = (given: Parameters<Millrace["subscribe"]>[0]) => given.group;
  options({ group: "a", events: ["run.completed"], retry: { attempts: 3 }, concurrency: 2 });
  // @ts-expect-error a subscription has a group
  options({ events: ["run.completed"] });
  // @ts-expect-error there is no such event
  options({ group: "a", events: ["run.done"] });
});
