import { expect, test } from "vitest";
import { decodeEvent, encodeCursor, encodeEvent, parseCursor } from "../../engine/events.ts";

const at_ms = Date.UTC(2026, 10, 23, 1, 2, 3, 45);

test("a line of the log is an event with its number, its cursor and its time", () => {
  const line = `${at_ms} ${encodeEvent({ type: "step.output", step: "s", attempt: 2, data: { text: "a\nb" } })}`;
  expect(line).not.toContain("\n");
  expect(decodeEvent("R", 7, line)).toEqual({
    seq: 7,
    cursor: `7-${at_ms.toString(36)}`,
    run: "R",
    type: "step.output",
    at: "2026-11-23T01:02:03.045Z",
    step: "s",
    attempt: 2,
    data: { text: "a\nb" },
  });
});

test("what was stored some time after it happened has the time of that, and the cursor of when it was stored", () => {
  const event = decodeEvent("R", 3, `${at_ms}~45 ${encodeEvent({ type: "step.started", step: "s" })}`);
  expect(event).toMatchObject({ at: "2026-11-23T01:02:03.000Z", cursor: `3-${at_ms.toString(36)}` });
});

test("a retry's time is the event's and its delay", () => {
  const data = { error: { name: "Error", message: "no" }, delayMs: 5_000 };
  const event = decodeEvent("R", 1, `${at_ms} ${encodeEvent({ type: "step.retrying", step: "s", data })}`);
  expect(event.data).toEqual({ error: data.error, retryAt: "2026-11-23T01:02:08.045Z" });
});

test("a cursor is a number, or a number and a tag", () => {
  expect(parseCursor(encodeCursor(12, at_ms))).toEqual({ seq: 12, at_ms });
  expect(parseCursor("0")).toEqual({ seq: 0 });
});

test.each(["", "-1", "1-", "a", "1.5", "1-A", "1 ", "9".repeat(16), "1-zzzzzzzzzzzz"])("%j is no cursor", (text) => {
  expect(parseCursor(text)).toBeUndefined();
});
