import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/gateway.ts";
import { isProblem, KeyedBench, LEASE_MS, newKey } from "../support/keyed-bench.ts";
import { startFile } from "../support/process.ts";
import { engineUrl } from "../support/redis.ts";

let bench: KeyedBench;
beforeAll(async () => {
  bench = await KeyedBench.start();
});
afterAll(() => bench[Symbol.asyncDispose]());

describe("a gateway that is killed between making a thing and storing its reply", () => {
  const kill = async (path: string, body: unknown, headers: Record<string, string>) => {
    const args = [engineUrl, bench.namespace, String(LEASE_MS)];
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
    const { call, secret, name } = await bench.tenant("killed-key");
    const headers = newKey();
    const body = { name: "once", scopes: ["runs:read"] };
    await kill("/v1/keys", body, { Authorization: `Bearer ${secret}`, ...headers });
    const { data } = await bench.gateway.millrace.access.keys.list({ tenant: name });
    expect(data.filter((key) => key.name === "once").length).toBe(1);
    const done = await eventually(
      () => call("POST", "/v1/keys", body, headers),
      ({ status }) => status !== 409,
    );
    expect(done).toMatchObject({ status: 201, body: { id: data.find((key) => key.name === "once")!.id } });
    expect(await bench.gateway.millrace.access.keys.verify(done.body.secret)).toMatchObject({ secretNumber: 1 });
    expect((await bench.gateway.millrace.access.keys.list({ tenant: name })).data.length).toBe(data.length);
  });

  test("has rotated a key once: the secret before works on", async () => {
    const { call, secret, name } = await bench.tenant("killed-rotation");
    const before = await bench.gateway.millrace.access.keys.create({ name: "r", tenant: name, scopes: ["runs:read"] });
    const headers = newKey();
    const path = `/v1/keys/${before.id}/rotate`;
    const body = { overlapMs: 600_000 };
    await kill(path, body, { Authorization: `Bearer ${secret}`, ...headers });
    const done = await eventually(
      () => call("POST", path, body, headers),
      ({ status }) => status !== 409,
    );
    expect(done.status).toBe(200);
    expect(await bench.gateway.millrace.access.keys.verify(done.body.secret)).toMatchObject({ secretNumber: 2 });
    expect(await bench.gateway.millrace.access.keys.verify(before.secret)).toMatchObject({ secretNumber: 1 });
  });

  test("and a holder who comes back with another credential is told what may be there", async () => {
    const { id, secret, name } = await bench.tenant("killed-rotated");
    const headers = newKey();
    const body = { name: "once", scopes: ["runs:read"] };
    await kill("/v1/keys", body, { Authorization: `Bearer ${secret}`, ...headers });
    const { secret: next } = await bench.gateway.millrace.access.keys.rotate(id);
    const answer = await eventually(
      () => bench.holder(name, next).call("POST", "/v1/keys", body, headers),
      ({ body }) => !String(body.type).endsWith("in-progress"),
    );
    expect(answer).toMatchObject(isProblem("idempotency_unreadable"));
    const { data } = await bench.gateway.millrace.access.keys.list({ tenant: name });
    expect(answer.body.detail).toContain(data.find((key) => key.name === "once")!.id);
    // Whoever has the old one still is given it at once.
    const done = await bench.holder(name, secret).call("POST", "/v1/keys", body, headers);
    expect(done.status).toBe(201);
  });
});
