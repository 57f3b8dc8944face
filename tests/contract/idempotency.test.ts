import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCOPES } from "../../engine/index.ts";
import { sealBy } from "../../gateway/keyed/seal.ts";
import { type Answer, answerOf, eventually } from "../support/gateway.ts";
import { isProblem, KeyedBench, newKey, seen, told } from "../support/keyed-bench.ts";
import { rawRedis } from "../support/redis.ts";
import { keysLike } from "../support/redis-client.ts";
import { DONE_ONCE, MAKINGS } from "../support/repeatable.ts";
import { ROOT } from "../support/run.ts";

let bench: KeyedBench;
// biome-ignore lint/suspicious/noExplicitAny: it is what is looked at
let paths: Record<string, Record<string, any>>;
beforeAll(async () => {
  bench = await KeyedBench.start();
  paths = (await bench.gateway.call("GET", "/openapi.json")).body.paths;
});
afterAll(() => bench[Symbol.asyncDispose]());

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
    const { call } = await bench.tenant("malformed");
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
    const { has, call } = await bench.tenant(`at-once-${operation}`);
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
    const { has, call, secret } = await bench.tenant(`other-${operation}`);
    const { path, body } = await make(has);
    const headers = newKey();
    const first = await call("POST", path, body, headers);
    expect(first.status).toBeLessThan(300);
    const other = await fetch(`${bench.gateway.url}${body === undefined ? (await make(has)).path : path}`, {
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
    const ours = await bench.tenant(`ours-${operation}`);
    const headers = newKey();
    const first = await make(ours.has);
    const done = await ours.call("POST", first.path, first.body, headers);
    expect(done.status).toBeLessThan(300);
    for (const other of [await bench.tenant(`theirs-${operation}`), await bench.tenant(ours.name)]) {
      const { path, body } = await make(other.has);
      const theirs = await other.call("POST", path, body, headers);
      expect(theirs.status).toBe(done.status);
      if (done.body.id !== undefined) expect(theirs.body.id).not.toBe(done.body.id);
    }
  });

  test("opens with its own credential alone, and says what it was", async () => {
    const { has, call, id, name } = await bench.tenant(`rotated-${operation}`);
    const { path, body } = await make(has);
    const headers = newKey();
    const done = await call("POST", path, body, headers);
    expect(done.status).toBeLessThan(300);
    const { secret } = await bench.gateway.millrace.access.keys.rotate(id);
    const answer = await bench.holder(name, secret).call("POST", path, body, headers);
    expect(answer).toMatchObject(isProblem("idempotency_unreadable"));
    expect(answer.headers.get("location")).toBe(done.headers.get("location"));
    if (done.headers.get("location") !== null) expect(answer.body.detail).toContain(done.headers.get("location"));
    expect(seen(await call("POST", path, body, headers))).toEqual(seen(done));
  });

  test("is the same thing when the gateway dies before its reply is stored", async () => {
    const { has, call, secret, name } = await bench.tenant(`dies-${operation}`);
    const { path, body } = await make(has);
    const headers = newKey();
    await using dying = await bench.dyingGateway();
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
    const { request, sealed, location } = stored;
    const seal = await sealBy([request.key, secret], JSON.stringify([request.tenant, request.scope]));
    const reply = JSON.parse(new TextDecoder().decode(await seal.open("reply", sealed)));
    expect(reply.status).toBe(done.status);
    expect(told(JSON.parse(reply.body))).toEqual(told(done.body));
    expect(location).toBe(done.headers.get("location") ?? "");
    const listed = await call("GET", operation === "createKey" ? `${path}?tenant=${name}` : path);
    if (done.status === 201 && listed.status === 200 && Array.isArray(listed.body.data)) {
      const own = listed.body.data.filter((each: { name?: string }) => each.name !== "t");
      expect(own.map((each: { id: string }) => each.id)).toEqual([done.body.id]);
    }
  });
});

test("a token of the same subject that is another does not open it", async () => {
  const token = (nonce: number, subject = "ann") => {
    const claims = { issuer: "i", subject, tenant: "jwt", scopes: SCOPES, nonce, expiresAt: "2100-01-01T00:00:00Z" };
    return `a.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c`;
  };
  const headers = newKey();
  const ask = (secret: string) =>
    bench.holder("jwt", secret).call("POST", "/v1/keys", { name: "a", scopes: ["runs:read"] }, headers);
  const first = await ask(token(1));
  expect(first.status).toBe(201);
  expect(seen(await ask(token(1)))).toEqual(seen(first));
  expect(await ask(token(2))).toMatchObject(isProblem("idempotency_unreadable"));
  const other = await ask(token(1, "bob"));
  expect(other.status).toBe(201);
  expect(other.body.id).not.toBe(first.body.id);
});

test("what was refused leaves the key free", async () => {
  const { call } = await bench.tenant("refused");
  const headers = newKey();
  expect((await call("POST", "/v1/tickets", { workflows: ["none"] }, headers)).status).toBe(404);
  expect((await call("POST", "/v1/tickets", { workflows: ["greet"] }, headers)).status).toBe(201);
});

test("neither keys nor secrets are in Redis", async () => {
  const { call } = await bench.tenant("sealed");
  const headers = { "Idempotency-Key": "a key that nobody shall see" };
  const { body } = await call("POST", "/v1/keys", { name: "a", scopes: ["runs:read"] }, headers);
  const redis = rawRedis();
  const records = await keysLike(redis, `{${bench.namespace}:*}:once:sealed:*`);
  expect(records.length).toBe(1);
  const held = JSON.stringify([records, await redis.hgetall(records[0]!)]);
  for (const secret of [body.secret, body.secret.split("_").at(-1), "nobody shall see", "workflows", "runs:read"])
    expect(held).not.toContain(secret);
  expect(held).toContain(`/v1/keys/${body.id}`);
});

describe("a document", () => {
  const upload = async (secret: string, text: string, headers: Record<string, string>, query = "?name=a.txt") =>
    answerOf(
      await fetch(`${bench.gateway.url}/v1/documents${query}`, {
        method: "POST",
        headers: { Authorization: `Bearer ${secret}`, ...headers },
        body: text,
      }),
    );

  test("is stored once, however often it is sent", async () => {
    const { secret, call, name } = await bench.tenant("documents");
    const headers = newKey();
    const answers = await Promise.all(Array.from({ length: 20 }, () => upload(secret, "hello", headers)));
    expect(new Set(answers.map((each) => JSON.stringify(seen(each)))).size).toBe(1);
    const [{ status, body }] = answers as [Answer];
    expect(status).toBe(201);
    const second = await bench.tenant(name);
    expect((await upload(second.secret, "hello", headers)).body).toEqual(body);
    for (const [text, query] of [
      ["hullo", "?name=a.txt"],
      ["hello", "?name=b.txt"],
      ["hello", "?name=a.txt&workflow=measure"],
    ] as const)
      expect(await upload(secret, text, headers, query)).toMatchObject(isProblem("idempotency_mismatch", 422));
    const theirs = await bench.tenant("documents-of-others");
    expect((await upload(theirs.secret, "hello", headers)).body.id).not.toBe(body.id);
    // Nothing is left of those that were too many: the last one takes the bytes along.
    expect((await call("DELETE", `/v1/documents/${body.id}`)).status).toBe(204);
    const again = await upload(secret, "hello", headers);
    expect(again.status).toBe(201);
    expect(again.body.id).not.toBe(body.id);
    expect((await upload(secret, "hello", headers)).body).toEqual(again.body);
  });
});
