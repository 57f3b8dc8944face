import { afterEach, expect, test, vi } from "vitest";
import type { Bell } from "../../engine/bell.ts";
import type { StepStream } from "../../engine/entry.ts";
import type { HeldAttempts } from "../../engine/held.ts";
import { Reader, type ReaderOptions } from "../../engine/reader.ts";
import type { Client } from "../../engine/redis/client.ts";
import type { Sources } from "../../engine/sources.ts";

const stream = (key: string) => ({ key, lane: "normal", step: { name: key } }) as unknown as StepStream;
const [a, b] = [stream("a"), stream("b")];

/** A reader of two streams of which the first has no free slot, with what it calls Redis for. */
function underTest() {
  const asked: { blocks: boolean; keys: string[]; answer(reply: null): void }[] = [];
  let wake = () => {};
  const next = async () => {
    while (asked.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return asked.shift()!;
  };
  const ask = (calls: unknown[][]) =>
    new Promise<null>((answer) => {
      const keys = calls.flatMap((call) => ["a", "b"].filter((key) => call.includes(key)));
      asked.push({ blocks: calls[0]!.includes("BLOCK"), keys, answer });
      wake();
    });
  const client = {
    call: async (...call: unknown[]) => (call[0] === "CLIENT" ? 7 : ask([call])),
    pipeline: async (calls: unknown[][]) => calls.map(await ask(calls).then((reply) => () => reply)),
    replies: async (calls: unknown[][]) => calls.map(() => [["name", "workers"]]),
    close: () => {},
  };
  const slots = new Map([
    [a, 0],
    [b, 1],
  ]);
  let freed = () => {};
  const held = {
    freeOf: (of: StepStream) => slots.get(of)!,
    unasked: { free: () => 2, freeOf: (of: StepStream) => slots.get(of)! },
    ask: () => () => {},
    answered: () => new Promise<void>(() => {}),
    begun: () => [],
    onFreed: (listener: () => void) => (freed = listener),
  };
  const options = {
    ...{ consumer: "ann", held: held as unknown as HeldAttempts, backlog: () => undefined, begin: () => {} },
    sources: { all: [a, b], open: [a, b], onChange: () => {} } as unknown as Sources,
    connect: async () => client as unknown as Client,
    unblock: async () => true,
    onReconnect: () => {},
  };
  const reader = new Reader(options as unknown as ReaderOptions);
  return {
    ...{ reader, next },
    free(of: StepStream) {
      slots.set(of, 1);
      freed();
    },
  };
}

test("a stream whose slot is freed while others are asked for what is at hand is asked too, before the reader blocks", async () => {
  const { reader, next, free } = underTest();
  reader.start();
  const first = await next();
  expect([first.blocks, first.keys]).toEqual([false, ["b"]]);
  free(a);
  first.answer(null);
  const second = await next();
  expect([second.blocks, second.keys]).toEqual([false, ["a"]]);
  second.answer(null);
  const third = await next();
  expect([third.blocks, third.keys]).toEqual([true, ["a", "b"]]);
  const stopped = reader.stop();
  third.answer(null);
  await stopped;
});

afterEach(() => void vi.useRealTimers());

/** A reader of more streams than it blocks on, with a bell to ring. */
function withBell() {
  const streams = Array.from({ length: 31 }, (_, i) => stream(`s${i}`));
  const asked: { blocks: boolean; keys: string[]; answer(): void }[] = [];
  const ask = (calls: unknown[][]) =>
    new Promise<void>((answer) => {
      const keys = calls.map((call) => String(call[call.length - 2]));
      asked.push({ blocks: calls.some((call) => call.includes("BLOCK")), keys, answer });
    });
  const client = {
    call: async (...call: unknown[]) => (call[0] === "CLIENT" ? 7 : ask([call])),
    pipeline: async (calls: unknown[][]) => ask(calls).then(() => calls.map(() => null)),
    replies: async (calls: unknown[][]) => calls.map(() => [["name", "workers"]]),
    // Each has something that was not delivered.
    run: async (_: unknown, keys: string[]) => keys.flatMap((_, i) => [i + 1, 4]),
    close: () => {},
  };
  const held = {
    ...{ freeOf: () => 100, unasked: { free: () => 100, freeOf: () => 100 }, ask: () => () => {}, begun: () => [] },
    ...{ answered: () => new Promise<void>(() => {}), onFreed: () => {} },
  };
  let rung: Set<string> | undefined;
  let onRing = () => {};
  const close = vi.fn();
  const bell = {
    close,
    get hasRung() {
      return rung === undefined || rung.size > 0;
    },
    take: () => {
      const taken = rung;
      rung = new Set();
      return taken;
    },
  };
  const options = {
    ...{ consumer: "ann", held, backlog: () => undefined, begin: () => {}, onReconnect: () => {} },
    sources: { all: streams, open: streams, onChange: () => {} },
    connect: async () => client as unknown as Client,
    bell: (listener: () => void) => {
      onRing = listener;
      return bell as unknown as Bell;
    },
  };
  const reader = new Reader(options as unknown as ReaderOptions);
  const next = async () => (await vi.waitUntil(() => asked.shift()))!;
  const ring = (key: string) => {
    rung!.add(key);
    onRing();
  };
  return { reader, next, ring, asked, close, all: streams.map(({ key }) => key) };
}

test("of many streams only those are asked for which it rings, also while others are asked", async () => {
  vi.useFakeTimers();
  const { reader, next, ring, close, all } = withBell();
  reader.start();
  const first = await next();
  expect([first.blocks, first.keys]).toEqual([false, all]);
  ring("s7");
  first.answer();
  const second = await next();
  expect([second.blocks, second.keys]).toEqual([false, ["s7"]]);
  second.answer();
  await vi.advanceTimersByTimeAsync(100);
  ring("s3");
  const third = await next();
  expect([third.blocks, third.keys]).toEqual([false, ["s3"]]);
  third.answer();
  await reader.stop();
  expect(close).toHaveBeenCalledOnce();
});

test("and all of them every two seconds, in case a ring was missed", async () => {
  vi.useFakeTimers();
  const { reader, next, asked, all } = withBell();
  reader.start();
  (await next()).answer();
  await vi.advanceTimersByTimeAsync(1_900);
  expect(asked).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  const again = await next();
  expect(again.keys).toEqual(all);
  again.answer();
  await reader.stop();
});
