import { Hono } from "hono";
import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type Draw, type Millrace, UnavailableError } from "../../engine/index.ts";
import { openDoor } from "../../gateway/access/open-door.ts";
import { Operations } from "../../gateway/api/operations.ts";
import type { Gateway } from "../../gateway/context.ts";
import { DEFAULT_LIMITS } from "../../gateway/limits.ts";
import { problemOf, problemResponse } from "../../gateway/problem.ts";
import { engineUrl, freshNamespace } from "../support/redis.ts";

let millrace: Millrace;
beforeAll(async () => {
  millrace = await connect({ url: engineUrl, namespace: freshNamespace(), workflows: [] });
});
afterAll(() => millrace.close());

const made = v.strictObject({ id: v.string(), text: v.string() });

/** An API that makes what `make` says, and is asked for it with the key `k` of that test. */
function api(make: (draw: Draw) => Promise<{ id: string; text: string }>, requests = millrace.requests) {
  const warnings: string[] = [];
  const log = { info: () => {}, warn: (message: string) => warnings.push(message), error: () => {} };
  const gateway = { millrace: { ...millrace, requests }, limits: { ...DEFAULT_LIMITS, idempotencyLeaseMs: 300 }, log };
  const operations = new Operations(openDoor, gateway as unknown as Gateway);
  operations.on(
    "post",
    "/things",
    {
      ...{ id: "makeThing", tag: "Health", summary: "Make a thing", scope: "admin", idempotent: "by-reply" },
      answers: { 201: { description: "The thing.", schema: made } },
    },
    async ({ draw, reply }) => {
      const thing = await make(draw!);
      return reply(201, thing, { Location: `/things/${thing.id}` });
    },
  );
  const app = new Hono().route("/", operations.app);
  app.onError((error, c) => problemResponse(c, problemOf(error)));
  const ask = (key: string) =>
    app.request("http://localhost/things", { method: "POST", headers: { "Idempotency-Key": key } });
  return { ask, warnings };
}

test("a reply that is too long is not kept, but where it is", async () => {
  let times = 0;
  const { ask } = api(async ({ id }) => {
    times += 1;
    return { id, text: "x".repeat(70_000) };
  });
  const first = await ask("long");
  expect(first.status).toBe(201);
  const again = await ask("long");
  expect(again.status).toBe(409);
  expect(again.headers.get("location")).toBe(first.headers.get("location"));
  expect(await again.json()).toMatchObject({ type: "urn:millrace:problem:idempotency-unreadable" });
  expect(times).toBe(1);
});

test("what failed is taken up at once, with what was drawn for it before", async () => {
  const draws: Draw[] = [];
  const { ask } = api(async (draw) => {
    draws.push(draw);
    if (draws.length === 1) throw new UnavailableError("not now");
    return { id: draw.id, text: "" };
  });
  expect((await ask("fails")).status).toBe(503);
  expect((await ask("fails")).status).toBe(201);
  expect(draws.length).toBe(2);
  expect(draws[1]).toEqual(draws[0]);
});

test("of two who make it, because one was slow, both tell what was stored first", async () => {
  let begun = () => {};
  const isAt = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let go = () => {};
  const mayGo = new Promise<void>((resolve) => {
    go = resolve;
  });
  let times = 0;
  const { ask } = api(async ({ id }) => {
    times += 1;
    if (times > 1) return { id, text: "fast" };
    begun();
    await mayGo;
    return { id, text: "slow" };
  });
  const slow = ask("slow");
  await isAt;
  const busy = await ask("slow");
  expect(busy.status).toBe(409);
  expect(await busy.json()).toMatchObject({ type: "urn:millrace:problem:idempotency-in-progress" });
  await expect.poll(async () => (await ask("slow")).status, { timeout: 5_000 }).toBe(201);
  go();
  const first = await slow;
  expect(first.status).toBe(201);
  expect(await first.json()).toEqual(await (await ask("slow")).json());
  expect(times).toBe(2);
});

test("what cannot be stored is told all the same, and made again as it was", async () => {
  const { requests } = millrace;
  const failing = {
    begin: requests.begin.bind(requests),
    leave: requests.leave.bind(requests),
    reserve: requests.reserve.bind(requests),
    answer: () => Promise.reject(new UnavailableError("not now")),
  };
  const { ask, warnings } = api(async ({ id }) => ({ id, text: "" }), failing);
  const first = await ask("away");
  expect(first.status).toBe(201);
  expect(warnings.length).toBe(1);
  const thing = await first.json();
  const { ask: later } = api(async ({ id }) => ({ id, text: "" }));
  await expect.poll(async () => (await later("away")).status, { timeout: 5_000 }).toBe(201);
  expect(await (await later("away")).json()).toEqual(thing);
});
