import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { s3Blobs } from "../../engine/blobs/s3.ts";
import { SCOPES } from "../../engine/index.ts";
import { keyDoor } from "../../gateway/access/key-door.ts";
import { createApp } from "../../gateway/app.ts";
import { serve } from "../../gateway/entry/node.ts";
import { webhookDelivery } from "../../workflows/webhooks/index.ts";
import { type Answer, answerOf, eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { startFile } from "../support/process.ts";
import { engineUrl, rawRedis } from "../support/redis.ts";
import { keysLike } from "../support/redis-client.ts";
import { DONE_ONCE, type Has, MAKINGS } from "../support/repeatable.ts";
import { ROOT } from "../support/run.ts";
import { type S3Server, startS3 } from "../support/servers/objects.ts";
import { LOOPBACK } from "../support/webhooks.ts";

const LEASE_MS = 1_000;
const { workflows, broken } = gatewayWorkflows();
let server: S3Server;
let gateway: TestGateway;
let namespace: string;
// biome-ignore lint/suspicious/noExplicitAny: it is what is looked at
let paths: Record<string, Record<string, any>>;
beforeAll(async () => {
  server = await startS3();
  const delivery = webhookDelivery({ millrace: () => gateway.millrace, policy: LOOPBACK });
  gateway = await startGateway({
    ...{ workflows: [...workflows, delivery], webhooks: LOOPBACK, keys: true },
    blobs: s3Blobs({ ...server, forcePathStyle: true }),
    limits: { idempotencyLeaseMs: LEASE_MS },
    jwt: { verify: async (token) => JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()) },
  });
  const { id } = await gateway.millrace.access.keys.create({ name: "first", scopes: ["admin"] });
  const [key] = await keysLike(rawRedis(), `*:api-key:${id}`);
  namespace = /^\{(.+):\d+\}/.exec(key!)![1]!;
  paths = (await gateway.call("GET", "/openapi.json")).body.paths;
});
afterAll(async () => {
  await gateway.close();
  await server.stop();
});

let keys = 0;
const newKey = () => ({ "Idempotency-Key": `key ${keys++}` });
let groups = 0;

/** A tenant with a key that may do everything. */
async function tenant(name: string) {
  const { secret, id } = await gateway.millrace.access.keys.create({ name: "t", tenant: name, scopes: ["admin"] });
  return { id, secret, ...holder(name, secret) };
}

function holder(name: string, secret: string) {
  const Authorization = `Bearer ${secret}`;
  const call: Has["call"] = (method, path, body, headers) =>
    gateway.call(method, path, body, { Authorization, ...headers });
  const failed = async () => {
    broken.add("Bob");
    const run = (await call("POST", "/v1/workflows/fragile/runs", { input: { name: "Bob" } })).body.id;
    await eventually(
      () => call("GET", `/v1/runs/${run}`),
      ({ body }) => body.status === "failed",
    );
    broken.delete("Bob");
    return run as string;
  };
  const has: Has = {
    call,
    async deadLetter() {
      const run = await failed();
      const { body } = await call("GET", "/v1/dead-letters");
      return body.data.find((each: { run: string }) => each.run === run).id;
    },
    async undelivered() {
      const group = `group-${groups++}`;
      const refuses = () => Promise.reject(new Error("not now"));
      const options = { group, events: ["run.failed"] as const, retry: { attempts: 1 } };
      const consumer = await gateway.millrace.subscribe({ ...options, events: [...options.events] }, refuses);
      await failed();
      const letters = await eventually(
        () => gateway.millrace.subscriptions.deadLetters(group),
        ({ data }) => data.length > 0,
      );
      await consumer.stop();
      return { group, id: letters.data[0]!.id };
    },
  };
  return { name, has, call };
}

const isProblem = (code: string, status = 409) => ({
  status,
  body: { type: `urn:millrace:problem:${code.replaceAll("_", "-")}`, status },
});
const seen = ({ status, body, headers }: Answer) => ({ status, body, location: headers.get("location") });

/** Every POST, and how it is safe to repeat. */
const posts = () =>
  Object.entries(paths).flatMap(([path, { post }]) =>
    post === undefined ? [] : [{ path, id: post.operationId as string, how: post["x-idempotent"], post }],
  );

test("every POST says how it is safe to repeat, and the README the same", async () => {
  for (const { path, how, post } of posts()) {
    expect(["always", "by-key", "by-reply"], path).toContain(how);
    const takes = post.parameters.some(({ name }: { name: string }) => name === "Idempotency-Key");
    expect([path, takes]).toEqual([path, how !== "always"]);
  }
  const kept = posts().filter(({ how }) => how === "by-reply");
  expect(kept.map(({ id }) => id).sort()).toEqual(Object.keys(MAKINGS).sort());
  const readme = await readFile(`${ROOT}README.md`, "utf8");
  const [, table = ""] = /### Sending a request again\n[\s\S]*?\| of \|.*\n\|-.*\n((?:\|.*\n)+)/.exec(readme) ?? [];
  const rows = table
    .trim()
    .split("\n")
    .map((row) => [...row.split(" | ")[0]!.matchAll(/`([^`]+)`/g)].map(([, at]) => at!));
  const wanted = ["by-key", "by-reply", "always"].map((kind) => posts().filter(({ how }) => how === kind));
  expect(rows.map((row) => row.sort())).toEqual(wanted.map((each) => each.map(({ path }) => path).sort()));
});

describe("a malformed key is refused", () => {
  test.each([
    ["an empty one", ""],
    ["a long one", "x".repeat(256)],
    ["odd characters", "caf\u00e9"],
    ["a tab", "a\tb"],
  ])("%s", async (_, key) => {
    const { call } = await tenant("malformed");
    for (const { path, how, post } of posts()) {
      if (how === "always") continue;
      const at = path.replaceAll(/\{\w+\}/g, "x");
      const isTus = post.parameters.some(({ name }: { name: string }) => name === "Tus-Resumable");
      const headers = { "Idempotency-Key": key, ...(isTus ? { "Tus-Resumable": "1.0.0" } : {}) };
      const answer = await call("POST", at, {}, headers as Record<string, string>);
      expect([path, answer.status]).toEqual([path, 400]);
      expect(JSON.stringify(answer.body)).toMatch(/idempotency[-_]key/);
    }
  });
});

describe.each(Object.keys(MAKINGS))("%s", (operation) => {
  const make = MAKINGS[operation]!;

  test("is carried out once, however often it is asked for at once", async () => {
    const { has, call } = await tenant(`at-once-${operation}`);
    const { path, body } = await make(has);
    const headers = newKey();
    const answers = await Promise.all(Array.from({ length: 20 }, () => call("POST", path, body, headers)));
    const done = answers.filter(({ status }) => status < 300);
    expect(done.length).toBeGreaterThan(0);
    for (const busy of answers.filter(({ status }) => status >= 300)) {
      expect(busy).toMatchObject(isProblem("idempotency_in_progress"));
      expect(busy.headers.get("retry-after")).toBe("1");
    }
    const again = await call("POST", path, body, headers);
    for (const each of done) expect(seen(each)).toEqual(seen(again));
    expect(again.headers.get("cache-control")).toBe(done[0]!.headers.get("cache-control"));
    expect(again.headers.get("content-type")).toBe(done[0]!.headers.get("content-type"));
  });

  test("with the same key and something else is refused", async () => {
    const { has, call, secret } = await tenant(`other-${operation}`);
    const { path, body } = await make(has);
    const headers = newKey();
    const first = await call("POST", path, body, headers);
    expect(first.status).toBeLessThan(300);
    const other = await fetch(`${gateway.url}${body === undefined ? (await make(has)).path : path}`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${secret}`,
        ...headers,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? null : `${JSON.stringify(body)} `,
    });
    expect(await answerOf(other)).toMatchObject(isProblem("idempotency_mismatch", 422));
    expect(seen(await call("POST", path, body, headers))).toEqual(seen(first));
  });

  test("with the same key is another thing to another tenant, and to another holder", async () => {
    const ours = await tenant(`ours-${operation}`);
    const headers = newKey();
    const first = await make(ours.has);
    const done = await ours.call("POST", first.path, first.body, headers);
    expect(done.status).toBeLessThan(300);
    for (const other of [await tenant(`theirs-${operation}`), await tenant(ours.name)]) {
      const { path, body } = await make(other.has);
      const theirs = await other.call("POST", path, body, headers);
      expect(theirs.status).toBe(done.status);
      if (done.body.id !== undefined) expect(theirs.body.id).not.toBe(done.body.id);
    }
  });

  test("opens with its own credential alone, and says what it was", async () => {
    const { has, call, id, name } = await tenant(`rotated-${operation}`);
    const { path, body } = await make(has);
    const headers = newKey();
    const done = await call("POST", path, body, headers);
    expect(done.status).toBeLessThan(300);
    const { secret } = await gateway.millrace.access.keys.rotate(id);
    const answer = await holder(name, secret).call("POST", path, body, headers);
    expect(answer).toMatchObject(isProblem("idempotency_unreadable"));
    expect(answer.headers.get("location")).toBe(done.headers.get("location"));
    if (done.headers.get("location") !== null) expect(answer.body.detail).toContain(done.headers.get("location"));
    expect(seen(await call("POST", path, body, headers))).toEqual(seen(done));
  });

  test("is the same thing when the gateway dies before its reply is stored", async () => {
    const { has, call, secret, name } = await tenant(`dies-${operation}`);
    const { path, body } = await make(has);
    const headers = newKey();
    await using dying = await dyingGateway();
    const lost = dying.ask(path, body, { Authorization: `Bearer ${secret}`, ...headers });
    const stored = await dying.stored;
    lost.abort();
    const busy = await call("POST", path, body, headers);
    if (busy.status >= 300 && busy.status !== 404) expect(busy).toMatchObject(isProblem("idempotency_in_progress"));
    const done = await eventually(
      () => call("POST", path, body, headers),
      ({ status }) => status !== 409,
    );
    if (DONE_ONCE.includes(operation)) {
      expect(done.status).toBe(404);
      return;
    }
    expect([200, 201, 202]).toContain(done.status);
    expect(seen(await call("POST", path, body, headers))).toEqual(seen(done));
    // Had the other one lived, its reply would have been this.
    expect(stored.location).toBe(done.headers.get("location") ?? "");
    const listed = await call("GET", operation === "createKey" ? `${path}?tenant=${name}` : path);
    if (done.status === 201 && listed.status === 200 && Array.isArray(listed.body.data)) {
      const own = listed.body.data.filter((each: { name?: string }) => each.name !== "t");
      expect(own.map((each: { id: string }) => each.id)).toEqual([done.body.id]);
    }
  });
});

/** A gateway on the same engine that never gets to store a reply. */
async function dyingGateway() {
  const { millrace } = gateway;
  const { requests } = millrace;
  let fail: (error: Error) => void = () => {};
  const dead = new Promise<never>((_, reject) => {
    fail = reject;
  });
  dead.catch(() => {});
  let storing: (what: { location: string }) => void = () => {};
  const stored = new Promise<{ location: string }>((resolve) => {
    storing = resolve;
  });
  const dying = {
    begin: requests.begin.bind(requests),
    reserve: requests.reserve.bind(requests),
    leave: () => dead,
    answer: (_request: unknown, _reply: string, location: string) => {
      storing({ location });
      return dead;
    },
  };
  const silent = { info: () => {}, warn: () => {}, error: () => {} };
  const listening = await serve(
    (upgradeWebSocket) =>
      createApp({
        ...{ millrace: { ...millrace, requests: dying }, door: keyDoor(millrace.access), upgradeWebSocket },
        ...{ webhooks: LOOPBACK, limits: { idempotencyLeaseMs: LEASE_MS }, log: silent },
      }),
    { host: "127.0.0.1", port: 0 },
  );
  return {
    stored,
    ask(path: string, body: unknown, headers: Record<string, string>) {
      const aborted = new AbortController();
      fetch(`http://127.0.0.1:${listening.port}${path}`, {
        method: "POST",
        headers: { ...headers, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
        body: body === undefined ? null : JSON.stringify(body),
        signal: aborted.signal,
      }).catch(() => {});
      return aborted;
    },
    async [Symbol.asyncDispose]() {
      fail(new Error("It is dead."));
      await listening.close();
    },
  };
}

describe("a gateway that is killed between making a thing and storing its reply", () => {
  const kill = async (path: string, body: unknown, headers: Record<string, string>) => {
    const args = [engineUrl, namespace, String(LEASE_MS)];
    const child = startFile("node", "tests/support/programs/dying-gateway.ts", { args });
    const port = /\d+$/.exec(await child.line(/^listens on/))![0];
    const sent = fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    await expect(sent).rejects.toThrow();
    expect((await child.exited).signal).toBe("SIGKILL");
  };

  test("leaves one key, whose secret the next one tells", async () => {
    const { call, secret, name } = await tenant("killed-key");
    const headers = newKey();
    const body = { name: "once", scopes: ["runs:read"] };
    await kill("/v1/keys", body, { Authorization: `Bearer ${secret}`, ...headers });
    const { data } = await gateway.millrace.access.keys.list({ tenant: name });
    expect(data.filter((key) => key.name === "once").length).toBe(1);
    const done = await eventually(
      () => call("POST", "/v1/keys", body, headers),
      ({ status }) => status !== 409,
    );
    expect(done).toMatchObject({ status: 201, body: { id: data.find((key) => key.name === "once")!.id } });
    expect(await gateway.millrace.access.keys.verify(done.body.secret)).toMatchObject({ secretNumber: 1 });
    expect((await gateway.millrace.access.keys.list({ tenant: name })).data.length).toBe(data.length);
  });

  test("has rotated a key once: the secret before works on", async () => {
    const { call, secret, name } = await tenant("killed-rotation");
    const before = await gateway.millrace.access.keys.create({ name: "r", tenant: name, scopes: ["runs:read"] });
    const headers = newKey();
    const path = `/v1/keys/${before.id}/rotate`;
    const body = { overlapMs: 600_000 };
    await kill(path, body, { Authorization: `Bearer ${secret}`, ...headers });
    const done = await eventually(
      () => call("POST", path, body, headers),
      ({ status }) => status !== 409,
    );
    expect(done.status).toBe(200);
    expect(await gateway.millrace.access.keys.verify(done.body.secret)).toMatchObject({ secretNumber: 2 });
    expect(await gateway.millrace.access.keys.verify(before.secret)).toMatchObject({ secretNumber: 1 });
  });

  test("and a holder who comes back with another credential is told what may be there", async () => {
    const { id, secret, name } = await tenant("killed-rotated");
    const headers = newKey();
    const body = { name: "once", scopes: ["runs:read"] };
    await kill("/v1/keys", body, { Authorization: `Bearer ${secret}`, ...headers });
    const { secret: next } = await gateway.millrace.access.keys.rotate(id);
    const answer = await eventually(
      () => holder(name, next).call("POST", "/v1/keys", body, headers),
      ({ body }) => !String(body.type).endsWith("in-progress"),
    );
    expect(answer).toMatchObject(isProblem("idempotency_unreadable"));
    const { data } = await gateway.millrace.access.keys.list({ tenant: name });
    expect(answer.body.detail).toContain(data.find((key) => key.name === "once")!.id);
    // Whoever has the old one still is given it at once.
    const done = await holder(name, secret).call("POST", "/v1/keys", body, headers);
    expect(done.status).toBe(201);
  });
});

test("a token of the same subject that is another does not open it", async () => {
  const token = (nonce: number, subject = "ann") => {
    const claims = { issuer: "i", subject, tenant: "jwt", scopes: SCOPES, nonce, expiresAt: "2100-01-01T00:00:00Z" };
    return `a.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c`;
  };
  const headers = newKey();
  const ask = (secret: string) =>
    holder("jwt", secret).call("POST", "/v1/keys", { name: "a", scopes: ["runs:read"] }, headers);
  const first = await ask(token(1));
  expect(first.status).toBe(201);
  expect(seen(await ask(token(1)))).toEqual(seen(first));
  expect(await ask(token(2))).toMatchObject(isProblem("idempotency_unreadable"));
  const other = await ask(token(1, "bob"));
  expect(other.status).toBe(201);
  expect(other.body.id).not.toBe(first.body.id);
});

test("what was refused leaves the key free", async () => {
  const { call } = await tenant("refused");
  const headers = newKey();
  expect((await call("POST", "/v1/tickets", { workflows: ["none"] }, headers)).status).toBe(404);
  expect((await call("POST", "/v1/tickets", { workflows: ["greet"] }, headers)).status).toBe(201);
});

test("neither keys nor secrets are in Redis", async () => {
  const { call } = await tenant("sealed");
  const headers = { "Idempotency-Key": "a key that nobody shall see" };
  const { body } = await call("POST", "/v1/keys", { name: "a", scopes: ["runs:read"] }, headers);
  const redis = rawRedis();
  const records = await keysLike(redis, `{${namespace}:*}:once:sealed:*`);
  expect(records.length).toBe(1);
  const held = JSON.stringify([records, await redis.hgetall(records[0]!)]);
  for (const secret of [body.secret, body.secret.split("_").at(-1), "nobody shall see", "workflows", "runs:read"])
    expect(held).not.toContain(secret);
  expect(held).toContain(`/v1/keys/${body.id}`);
});

describe("a document", () => {
  const upload = async (secret: string, text: string, headers: Record<string, string>, query = "?name=a.txt") =>
    answerOf(
      await fetch(`${gateway.url}/v1/documents${query}`, {
        method: "POST",
        headers: { Authorization: `Bearer ${secret}`, ...headers },
        body: text,
      }),
    );

  test("is stored once, however often it is sent", async () => {
    const { secret, call, name } = await tenant("documents");
    const headers = newKey();
    const answers = await Promise.all(Array.from({ length: 20 }, () => upload(secret, "hello", headers)));
    expect(new Set(answers.map((each) => JSON.stringify(seen(each)))).size).toBe(1);
    const [{ status, body }] = answers as [Answer];
    expect(status).toBe(201);
    const second = await tenant(name);
    expect((await upload(second.secret, "hello", headers)).body).toEqual(body);
    for (const [text, query] of [
      ["hullo", "?name=a.txt"],
      ["hello", "?name=b.txt"],
      ["hello", "?name=a.txt&workflow=measure"],
    ] as const)
      expect(await upload(secret, text, headers, query)).toMatchObject(isProblem("idempotency_mismatch", 422));
    const theirs = await tenant("documents-of-others");
    expect((await upload(theirs.secret, "hello", headers)).body.id).not.toBe(body.id);
    // Nothing is left of those that were too many: the last one takes the bytes along.
    expect((await call("DELETE", `/v1/documents/${body.id}`)).status).toBe(204);
    const again = await upload(secret, "hello", headers);
    expect(again.status).toBe(201);
    expect(again.body.id).not.toBe(body.id);
    expect((await upload(secret, "hello", headers)).body).toEqual(again.body);
  });
});
