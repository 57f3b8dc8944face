import { afterEach, expect, test, vi } from "vitest";
import { type Feed, SocketLine } from "../../gateway/client/lines.ts";

afterEach(() => void vi.useRealTimers());

/** A socket that opens, or not, and what it was sent. */
function socketOf(opens: boolean) {
  const sent: { type: string }[] = [];
  let last: Stub | undefined;
  class Stub {
    onopen = () => {};
    onmessage = (_: { data: string }) => {};
    onclose = () => {};
    readyState = 1;
    constructor() {
      last = this;
      if (opens) queueMicrotask(() => this.onopen());
    }
    send(text: string) {
      sent.push(JSON.parse(text));
    }
    close() {
      this.readyState = 3;
      this.onclose();
    }
  }
  const hear = (message: object) => last!.onmessage({ data: JSON.stringify(message) });
  return { WebSocket: Stub as unknown as typeof WebSocket, sent, hear };
}

const feed: Feed = { topic: { run: "r" }, after: () => "0", take() {}, heard() {}, end() {}, fail() {} };

function carried(opens: boolean) {
  vi.useFakeTimers();
  const { WebSocket, sent, hear } = socketOf(opens);
  const line = new SocketLine("http://localhost", undefined, WebSocket, feed.topic);
  let isOver = false;
  void line
    .carry(new Set([feed]), () => {})
    .then(() => {
      isOver = true;
    });
  return { sent, hear, over: () => isOver, line };
}

test("a socket that does not open in 20 seconds is given up", async () => {
  const { over } = carried(false);
  await vi.advanceTimersByTimeAsync(19_000);
  expect(over()).toBe(false);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(over()).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test("one over which nothing comes for 40 seconds is dead, though it is asked every 15", async () => {
  const { over, sent } = carried(true);
  await vi.advanceTimersByTimeAsync(39_000);
  expect([over(), sent.map(({ type }) => type)]).toEqual([false, ["subscribe", "ping", "ping"]]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(over()).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test("one that is quiet and answers is kept", async () => {
  const { over, hear, line } = carried(true);
  for (let n = 0; n < 10; n += 1) {
    await vi.advanceTimersByTimeAsync(15_000);
    hear({ type: "pong" });
  }
  expect(over()).toBe(false);
  line.close();
  await vi.advanceTimersByTimeAsync(0);
  expect(over()).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});
