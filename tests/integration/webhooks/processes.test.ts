import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { adminKey } from "../../support/admin-key.ts";
import { answerOf } from "../../support/gateway.ts";
import { missing, RUNTIMES, type Runtime, type StartedProcess, startFile } from "../../support/process.ts";
import { Receiver } from "../../support/receiver.ts";
import { freshNamespace, redisUrl } from "../../support/redis.ts";
import { temporaryDir } from "../../support/run.ts";
import { makeCertificates } from "../../support/servers/certificates.ts";

const DEFINITIONS = ["--workflows", "tests/support/programs/definitions.ts"];

/** A gateway process, and workers as they are wanted, in a namespace of their own. */
async function processes(runtime: Runtime, more: Record<string, string>) {
  const own = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: freshNamespace(), MILLRACE_BLOBS: await temporaryDir() };
  const env = { ...own, ...more };
  const started: StartedProcess[] = [];
  const start = (args: string[]) => {
    const one = startFile(runtime, "cli/main.ts", { args, env });
    started.push(one);
    return one;
  };
  const gateway = start(["gateway", "--port", "0", ...DEFINITIONS]);
  const line = await gateway.line(/^listening on /).catch(async (error) => {
    await gateway.stop();
    throw error;
  });
  const url = line.slice("listening on ".length);
  const key = await adminKey(own.MILLRACE_NAMESPACE, redisUrl);
  return {
    async worker(...args: string[]) {
      const worker = start(["worker", ...DEFINITIONS, ...args]);
      await worker.line(/^worker \S+ serves /);
      return worker;
    },
    async post(path: string, body: unknown) {
      const headers = { "Content-Type": "application/json", ...key };
      return answerOf(await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) }));
    },
    get: async (path: string) => (await answerOf(await fetch(url + path, { headers: key }))).body,
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map((one) => one.stop()));
    },
  };
}

describe.each(RUNTIMES)("millrace worker under %s", (runtime) => {
  test.skipIf(missing(runtime))("posts over TLS, and to whom the certificate names alone", async () => {
    const tls = await makeCertificates(await temporaryDir(), ["localhost"]);
    await using receiver = await Receiver.start({ tls });
    const env = { NODE_EXTRA_CA_CERTS: tls.ca, MILLRACE_WEBHOOKS_ALLOW: "localhost,127.0.0.1" };
    await using parts = await processes(runtime, env);
    const worker = await parts.worker();
    const made = await parts.post("/v1/webhooks", {
      ...{ url: receiver.url("/hook", "localhost", "https"), events: ["run.completed"] },
    });
    expect(made.status).toBe(201);
    const wrong = await parts.post("/v1/webhooks", {
      ...{ url: receiver.url("/wrong", "127.0.0.1", "https"), events: ["run.completed"] },
    });
    const run = await parts.post("/v1/workflows/adding/runs", { input: { n: 1 } });
    await expect.poll(() => receiver.posted.length).toBe(1);
    const { path, body, headers } = receiver.posted[0]!;
    expect(new Webhook(made.body.secret).verify(body, headers)).toMatchObject({
      ...{ type: "run.completed", data: { run: run.body.id, workflow: "adding", output: { n: 3 } } },
    });
    const log = async (id: string) => (await parts.get(`/v1/webhooks/${id}/deliveries`)).data[0];
    await expect.poll(() => log(made.body.id)).toMatchObject({ status: "delivered" });
    await expect
      .poll(() => log(wrong.body.id))
      .toMatchObject({
        ...{ status: "pending", attempts: 1, error: { code: "receiver_unreachable" } },
      });
    expect([path, receiver.posted.length]).toEqual(["/hook", 1]);
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
    expect(worker.output()).not.toContain("whsec_");
  });
});

test("a worker that is killed in the middle of deliveries loses none: another goes on with them", async () => {
  await using receiver = await Receiver.start();
  const answered = new Set<string>();
  let isOpen = false;
  receiver.answer = ({ body }) => {
    if (!isOpen) return undefined;
    answered.add(JSON.parse(body).data.run);
    return { status: 204 };
  };
  await using parts = await processes("node", {
    ...{ MILLRACE_WEBHOOKS_ALLOW: "127.0.0.1", MILLRACE_WEBHOOKS_HTTP: "yes" },
  });
  const first = await parts.worker("--lease-ms", "1000");
  const webhook = await parts.post("/v1/webhooks", { url: receiver.url(), events: ["run.completed"] });
  const runs = new Set<string>();
  for (let i = 0; i < 40; i += 1) {
    runs.add((await parts.post("/v1/workflows/adding/runs", { input: { n: i } })).body.id);
    // Some ended before that, some are under way, and some have yet to begin.
    if (i === 30) {
      await expect.poll(() => receiver.posted.length).toBeGreaterThan(0);
      first.kill("SIGKILL");
      await first.exited;
    }
  }
  isOpen = true;
  await parts.worker("--lease-ms", "1000");
  await expect.poll(() => answered.size, { timeout: 20_000 }).toBe(runs.size);
  expect(answered).toEqual(runs);
  // However often one was posted, it is one delivery.
  const all = await parts.get(`/v1/webhooks/${webhook.body.id}/deliveries?limit=100`);
  const messages = all.data.map(({ message }: { message: string }) => message);
  expect([messages.length, new Set(messages).size]).toEqual([runs.size, runs.size]);
});

test("a worker whose steps are named sends webhooks only if that is among them", async () => {
  await using receiver = await Receiver.start();
  await using parts = await processes("node", {
    ...{ MILLRACE_WEBHOOKS_ALLOW: "127.0.0.1", MILLRACE_WEBHOOKS_HTTP: "yes" },
  });
  const others = await parts.worker("--steps", "adding/*");
  await parts.post("/v1/webhooks", { url: receiver.url(), events: ["run.completed"] });
  const run = await parts.post("/v1/workflows/adding/runs", { input: { n: 1 } });
  await expect.poll(async () => (await parts.get(`/v1/runs/${run.body.id}`)).status).toBe("completed");
  await expect.poll(async () => (await parts.get("/v1/subscriptions")).data[0].waiting).toBe(3);
  const sender = await parts.worker("--steps", "webhook-delivery/*");
  expect(await sender.line(/^worker /)).toMatch(/ serves webhook-delivery@1:deliver$/);
  await expect.poll(() => receiver.posted.length).toBe(1);
  expect(others.output()).not.toContain("webhook-delivery");
});
