import { readFile } from "node:fs/promises";
import { connect } from "node:tls";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { AppendOnlyFile, fsynced } from "../../support/faults/append-only-file.ts";
import { rawRedis } from "../../support/redis.ts";
import { restartableRedis } from "../../support/restartable-redis.ts";
import { temporaryDir } from "../../support/run.ts";
import { aclRedis } from "../../support/servers/acl.ts";
import { makeCertificates } from "../../support/servers/certificates.ts";
import { cluster } from "../../support/servers/cluster.ts";
import { replicated } from "../../support/servers/replicated.ts";
import { tlsRedis } from "../../support/servers/tls.ts";

test("a power cut takes what was not fsynced, whole commands from the end on", async () => {
  await using redis = await restartableRedis();
  const client = rawRedis(redis.url);
  await client.set("a", "1");
  const mark = await fsynced(redis.dir, client);
  for (const key of ["b", "c"]) await client.set(key, "1");
  await redis.kill();
  const file = await AppendOnlyFile.in(redis.dir);
  expect(file.bytes).toBeGreaterThan(mark.bytes);
  await file.cutAt(file.bytes - 1);
  await redis.start();
  expect(await rawRedis(redis.url).exists("a", "b", "c")).toBe(2);
  await redis.kill();
  await file.cutAt(mark.bytes);
  await redis.start();
  expect(await rawRedis(redis.url).exists("a", "b", "c")).toBe(1);
});

test("a server that is stopped goes on, and one that is stopped can be killed", async () => {
  await using redis = await restartableRedis();
  redis.signal("SIGSTOP");
  const silent = rawRedis(redis.url).set("a", "1");
  redis.signal("SIGCONT");
  expect(await silent).toBe("OK");
  redis.signal("SIGSTOP");
  await redis.kill();
  await redis.start();
  expect(await rawRedis(redis.url).get("a")).toBe("1");
  redis.signal("SIGSTOP");
});

test("users have passwords that can be changed, and rights", async () => {
  await using redis = await aclRedis();
  await redis.set("ann", "on", ">first", "~a:*", "+get", "+set", "+info", "+select");
  const ann = rawRedis(redis.as("ann", "first"));
  expect(await ann.set("a:1", "1")).toBe("OK");
  await expect(ann.set("b:1", "1")).rejects.toThrow("NOPERM");
  await redis.rotate("ann", "second");
  expect(await ann.get("a:1")).toBe("1");
  await expect(rawRedis(redis.as("ann", "first")).get("a:1")).rejects.toThrow();
  await redis.rotate("ann", "third", true);
  await expect(ann.get("a:1")).rejects.toThrow();
  expect(await rawRedis(redis.as("ann", "third")).get("a:1")).toBe("1");
});

test("a server behind TLS is known by its authority, and by the name in its certificate", async () => {
  await using redis = await tlsRedis();
  const { port } = new URL(redis.url);
  const ca = await readFile(redis.certificates.ca, "utf8");
  const meet = (servername: string, authority?: string) =>
    new Promise<string>((resolve) => {
      const options = { host: "127.0.0.1", port: Number(port), servername };
      const socket = connect(authority === undefined ? options : { ...options, ca: authority });
      socket.once("error", ({ code }: NodeJS.ErrnoException) => resolve(code ?? "error"));
      socket.once("secureConnect", () => socket.write("PING\r\n"));
      socket.once("data", (reply: Buffer) => {
        socket.destroy();
        resolve(String(reply).trim());
      });
    });
  expect(await meet("localhost", ca)).toBe("+PONG");
  expect(await meet("elsewhere", ca)).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  expect(await meet("localhost")).toMatch(/UNABLE_TO_VERIFY|SELF_SIGNED/);
  expect(await rawRedis(redis.plainUrl).ping()).toBe("PONG");
});

test("a primary loses what its replica never got, when that is promoted", async () => {
  await using pair = await replicated();
  const primary = rawRedis(pair.primary.url);
  await primary.set("kept", "1");
  await pair.inStep();
  await pair.detach();
  await primary.set("lost", "1");
  await pair.promote();
  expect(await rawRedis(pair.replica.url).mget("kept", "lost")).toEqual(["1", null]);
});

test("a cluster fails over as planned and by force, and moves slots with their keys", async () => {
  await using three = await cluster();
  const [first, second, third] = await three.masters();
  expect(three.nodes).toHaveLength(6);
  // `foo` is in slot 12182, of the third.
  expect(await three.masterOf("foo")).toBe(third);
  await third!.client.set("foo", "1");
  const next = await three.failover(third!);
  expect([await next.client.get("foo"), (await three.replicasOf(next))[0]]).toEqual(["1", third]);
  const last = await three.crash(next);
  expect([last, await last.client.get("foo")]).toEqual([third, "1"]);
  await three.revive(next);
  expect((await three.replicasOf(third!))[0]).toBe(next);
  await three.moveSlot(12_182, first!);
  expect(await three.masterOf("foo")).toBe(first);
  expect(await first!.client.get("foo")).toBe("1");
  await expect(second!.client.get("foo")).rejects.toThrow(`MOVED 12182 127.0.0.1:${first!.port}`);
});

test("the nodes of a cluster with certificates tell those who speak TLS of each other's TLS ports", async () => {
  const certificates = await makeCertificates(await temporaryDir());
  await using three = await cluster({ certificates });
  const { port } = new URL(three.nodes[0]!.tlsUrl!);
  const ca = await readFile(certificates.ca);
  const client = new Redis({ host: "localhost", port: Number(port), tls: { ca } });
  const ranges = (await client.call("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
  client.disconnect();
  const told = ranges.map(([, , [, each]]) => each).sort();
  const [first, second, third] = await three.masters();
  expect(told).toEqual([first, second, third].map((node) => node!.port).sort());
  await three.moveSlot(12_182, first!);
  expect(await three.masterOf("foo")).toBe(first);
});
