import { Webhook } from "standardwebhooks";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { type Millrace, workflow } from "../../../engine/index.ts";
import { type TestKit, testKit } from "../../../engine/testing/index.ts";
import { Deliveries, type DeliveryView } from "../../../workflows/webhooks/deliveries.ts";
import { WebhookService } from "../../../workflows/webhooks/service.ts";
import { Webhooks } from "../../../workflows/webhooks/webhooks.ts";
import { type DeliveryOptions, webhookDelivery } from "../../../workflows/webhooks/workflow.ts";
import { kitOptions } from "../../support/kit.ts";
import { Receiver } from "../../support/receiver.ts";
import { LOOPBACK } from "../../support/webhooks.ts";

const order = workflow("order", { input: v.string() }).step("take", (name) => name);
const TENANT = "default";
const HOUR_MS = 3_600_000;

/** A kit that sends webhooks, and one webhook that is told of the end of runs. */
async function sending(url: string, options: Partial<DeliveryOptions> = {}) {
  const policy = options.policy ?? LOOPBACK;
  const delivery = webhookDelivery({ ...options, policy, millrace: () => kit.millrace });
  const kit: TestKit = await testKit([order, delivery], kitOptions());
  const { millrace } = kit;
  const service = new WebhookService(millrace, { deliver: false });
  await service.start();
  const webhook = await new Webhooks(millrace, { ...policy, http: true }).create(TENANT, {
    ...{ url, events: ["run.completed"] },
  });
  return {
    ...{ kit, millrace, webhook },
    log: async () => (await new Deliveries(millrace).list(TENANT, webhook.id, {})).data,
    async [Symbol.asyncDispose]() {
      await service.stop();
      await kit.close();
    },
  };
}

/** What a delivery is once the kit has nothing more to do at its time. */
async function only(log: () => Promise<DeliveryView[]>): Promise<DeliveryView> {
  const [one, ...others] = await log();
  expect(others).toEqual([]);
  return one!;
}

async function retryAt(millrace: Millrace, run: string): Promise<string> {
  let at = "";
  for await (const event of millrace.watch(run, { signal: AbortSignal.timeout(10_000) })) {
    if (event.type !== "step.retrying") continue;
    at = (event.data as { retryAt: string }).retryAt;
    if (event.seq === (await millrace.runs.get(run)).seq) break;
  }
  return at;
}

test("a receiver that was away for an hour is told when it is back, by the same message", async () => {
  await using receiver = await Receiver.start();
  receiver.answer = () => ({ status: 503, body: "closed" });
  await using parts = await sending(receiver.url());
  const { kit, log, webhook } = parts;
  await kit.run(order, "tea");
  await kit.clock.settle();
  expect(await only(log)).toMatchObject({
    ...{ status: "pending", attempts: 1, response: { status: 503, body: "closed" } },
    error: { code: "http_503", message: "The receiver answered 503." },
  });
  // 5 s, 5 min and half an hour later.
  await kit.clock.advance("1 hour");
  expect(receiver.posted).toHaveLength(4);
  receiver.answer = () => ({ status: 200, body: "open" });
  await kit.clock.advance("3 hours");
  const delivered = await only(log);
  expect(delivered).toMatchObject({ status: "delivered", attempts: 5, response: { status: 200, body: "open" } });
  expect(delivered).not.toHaveProperty("error");
  expect(new Set(receiver.posted.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(new Set(receiver.posted.map(({ body }) => body)).size).toBe(1);
  for (const { body, headers } of receiver.posted) new Webhook(webhook.secret).verify(body, headers);
});

test("after three days it is a dead letter, and a replay goes on with the same message", async () => {
  await using receiver = await Receiver.start();
  receiver.answer = () => ({ status: 500 });
  await using parts = await sending(receiver.url());
  const { kit, millrace, log } = parts;
  await kit.run(order, "tea");
  await kit.clock.advance("2 days");
  expect((await only(log)).status).toBe("pending");
  await kit.clock.advance("3 days");
  expect(await only(log)).toMatchObject({ status: "failed", attempts: 10, error: { code: "http_500" } });
  const letters = await millrace.deadLetters.list({ workflow: "webhook-delivery" });
  expect(letters.data).toHaveLength(1);

  receiver.answer = () => ({ status: 204 });
  await millrace.deadLetters.replay(letters.data[0]!.id);
  await kit.clock.settle();
  expect(await only(log)).toMatchObject({ status: "delivered" });
  expect(new Set(receiver.posted.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
});

test("a receiver's Retry-After is kept to", async () => {
  await using receiver = await Receiver.start();
  receiver.answer = () => ({ status: 429, headers: { "Retry-After": "7200" } });
  await using parts = await sending(receiver.url());
  const { kit, millrace, log } = parts;
  await kit.run(order, "tea");
  await kit.clock.settle();
  const before = (await kit.clock.now()).getTime();
  const { id } = await only(log);
  const waits = Date.parse(await retryAt(millrace, id)) - before;
  expect(waits).toBeGreaterThan(1.9 * HOUR_MS);
  expect(waits).toBeLessThanOrEqual(2 * HOUR_MS);
  await kit.clock.advance("119 minutes");
  expect(receiver.posted).toHaveLength(1);
  await kit.clock.advance("2 minutes");
  expect(receiver.posted).toHaveLength(2);
});

test("a receiver that lets its answer drip is given so long and no longer", async () => {
  await using receiver = await Receiver.start();
  const drips = new Set<NodeJS.Timeout>();
  receiver.answer = (_, response) => {
    response.writeHead(200);
    const drip = setInterval(() => response.write("."), 20);
    drips.add(drip);
    response.on("close", () => clearInterval(drip));
    return undefined;
  };
  await using parts = await sending(receiver.url(), { timeoutMs: 300 });
  await parts.kit.run(order, "tea");
  await parts.kit.clock.settle();
  expect(await only(parts.log)).toMatchObject({
    ...{ status: "pending", attempts: 1 },
    error: { code: "receiver_timeout", message: "No whole answer within 300 ms." },
  });
});

describe("a name", () => {
  test.each([
    ["127.0.0.1"],
    ["10.0.0.8"],
    ["169.254.169.254"],
    ["100.64.0.1"],
    ["::1"],
    ["fd00::1"],
    ["::ffff:127.0.0.1"],
    // The one that is public does not make up for the other.
    ["93.184.216.34", "10.0.0.8"],
  ])("that stands for %s %s is not connected to", async (...addresses) => {
    await using receiver = await Receiver.start();
    const resolve = async () => addresses.filter(Boolean).map((address) => ({ address }));
    const url = receiver.url("/", "hooks.example", "http");
    await using parts = await sending(url, { policy: { http: true }, resolve });
    await parts.kit.run(order, "tea");
    await parts.kit.clock.settle();
    expect(await only(parts.log)).toMatchObject({
      ...{ status: "failed", attempts: 1, error: { code: "address_refused" } },
    });
    expect(receiver.posted).toEqual([]);
  });

  test("is looked up once: what it stands for afterwards is not connected to", async () => {
    await using receiver = await Receiver.start();
    let asked = 0;
    // First where it may go, and to this machine from then on.
    const resolve = async () => [{ address: asked++ === 0 ? "127.0.0.2" : "127.0.0.1" }];
    const policy = { allow: ["127.0.0.2"], http: true };
    const url = receiver.url("/", "localhost", "http");
    await using parts = await sending(url, { policy, resolve });
    await parts.kit.run(order, "tea");
    await parts.kit.clock.settle();
    // Nobody listens at the address that was checked, and the system's own look-up would have found the receiver.
    expect(await only(parts.log)).toMatchObject({ attempts: 1, error: { code: "receiver_unreachable" } });
    expect([asked, receiver.posted]).toEqual([1, []]);
    // The next attempt asks again, and is refused.
    await parts.kit.clock.advance("6 seconds");
    expect(await only(parts.log)).toMatchObject({ attempts: 2, error: { code: "address_refused" } });
    expect([asked, receiver.posted]).toEqual([2, []]);
  });

  test("that nothing is known of, or whose look-up hangs, is tried again", async () => {
    const resolve = async (host: string) => {
      if (host === "none.example") throw Object.assign(new Error("getaddrinfo ENOTFOUND"), { code: "ENOTFOUND" });
      return new Promise<never>(() => {});
    };
    for (const [host, code] of [
      ["none.example", "receiver_unreachable"],
      ["slow.example", "receiver_timeout"],
    ] as const) {
      await using parts = await sending(`https://${host}/`, { resolve, timeoutMs: 200 });
      await parts.kit.run(order, "tea");
      await parts.kit.clock.settle();
      expect(await only(parts.log)).toMatchObject({ status: "pending", attempts: 1, error: { code } });
    }
  });
});
