import { describe, expect, test } from "vitest";
import { givenBy, wantedOf } from "../../engine/durability.ts";
import { MillraceError } from "../../engine/errors.ts";
import { type Capabilities, capabilitiesOf, checkCapabilities } from "../../engine/redis/capabilities.ts";
import type { Client } from "../../engine/redis/client.ts";

const refused = new MillraceError("redis", "NOPERM this user has no permissions to run the command");

/** A server that answers commands by their first word; what is not there it refuses. */
function serverWith(replies: Record<string, unknown>): Client {
  const call = async (name: string) => {
    if (name in replies) return replies[name];
    throw refused;
  };
  const client = { call, masters: () => [client] };
  return client as unknown as Client;
}

const info = (version: string, more = "") =>
  `# Server\r\nredis_version:${version}\r\n# Replication\r\nconnected_slaves:2\r\naof_enabled:1\r\n${more}\r\n`;

describe("what is known of a server", () => {
  test("is what it says of itself", async () => {
    const config = ["appendonly", "yes", "appendfsync", "always", "no-appendfsync-on-rewrite", "no"];
    const server = serverWith({ INFO: info("7.2.4", "maxmemory_policy:noeviction"), CONFIG: config });
    expect(await capabilitiesOf(server)).toEqual({
      ...{ version: "7.2.4", appendOnly: true, fsync: "always", fsyncDuringRewrite: true },
      ...{ eviction: "noeviction", replicas: 2 },
    });
  });

  test("is less where it must not be asked", async () => {
    expect(await capabilitiesOf(serverWith({ INFO: info("7.0.15") }))).toEqual({
      ...{ version: "7.0.15", appendOnly: true, replicas: 2 },
    });
    const greeting = ["server", "redis", "version", "6.2.1", "mode", "standalone"];
    expect(await capabilitiesOf(serverWith({ HELLO: greeting }))).toEqual({ version: "6.2.1" });
    expect(await capabilitiesOf(serverWith({}))).toEqual({});
  });

  test.each(["6.0.16", "5.0.14", "6.1.240"])("version %s is too old", async (version) => {
    await expect(checkCapabilities(serverWith({ PING: "PONG", INFO: info(version) }))).rejects.toMatchObject({
      code: "redis_version",
      message: expect.stringContaining(`Redis ${version}`),
    });
  });

  test.each(["6.2.0", "7.0.15", "10.0.0"])("version %s is not", async (version) => {
    const known = await checkCapabilities(serverWith({ PING: "PONG", INFO: info(version) }));
    expect(known.version).toBe(version);
  });
});

describe("what is given without waiting", () => {
  const always: Capabilities = { appendOnly: true, fsync: "always", fsyncDuringRewrite: true };

  test("is disk where every write is fsynced before its reply, and else memory", () => {
    expect(givenBy(always)).toBe("disk");
    expect(givenBy({ ...always, fsync: "everysec" })).toBe("memory");
    expect(givenBy({ ...always, appendOnly: false })).toBe("memory");
    // `no-appendfsync-on-rewrite yes` puts fsyncs off while the file is rewritten.
    expect(givenBy({ ...always, fsyncDuringRewrite: false })).toBe("memory");
    expect(givenBy({})).toBe("memory");
  });

  test("is what disk takes, if it is that; else WAITAOF, and its local count", async () => {
    const calls: unknown[] = [];
    const waitAof = async (...call: unknown[]) => [calls.push(call), 0];
    expect(await wantedOf("disk", always, waitAof)).toBeUndefined();
    expect(calls).toEqual([]);
    const wanted = await wantedOf("disk", { ...always, fsync: "everysec" }, waitAof);
    expect(wanted).toMatchObject({ level: "disk", wait: ["WAITAOF", 1, 0, 2_000] });
    expect(wanted!.missing([1, 0])).toBeUndefined();
    expect(wanted!.missing([0, 3])).toContain("not fsynced");
    expect(wanted!.missing(refused)).toContain("not fsynced");
    expect(wanted!.missing(undefined)).toContain("not fsynced");
  });

  test("of replicas, the count is compared", async () => {
    const wanted = await wantedOf({ replicas: 2, timeoutMs: 10 }, {}, async () => 0);
    expect(wanted).toMatchObject({ level: "replicated", wait: ["WAIT", 2, 10] });
    expect([3, 2].map((count) => wanted!.missing(count))).toEqual([undefined, undefined]);
    expect(wanted!.missing(1)).toContain("1 of 2 replicas");
    expect(wanted!.missing(refused)).toContain("an unknown number of 2 replicas");
  });

  test.each<[unknown]>([
    ["disc"],
    [{}],
    [{ replicas: 0 }],
    [{ replicas: 1.5 }],
    [{ replicas: "1" }],
    [{ replicas: 1, timeoutMs: 0 }],
    [{ replicas: 1, timeoutMs: 60_000 }],
    [null],
  ])("%j is no durability", async (option) => {
    await expect(wantedOf(option as "disk", {}, async () => 0)).rejects.toMatchObject({ code: "bad_option" });
  });
});
