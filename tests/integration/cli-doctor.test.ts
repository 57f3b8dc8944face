import { expect, test } from "vitest";
import { tries } from "../../engine/checkup/rights.ts";
import type { Finding } from "../../engine/index.ts";
import { startFile } from "../support/process.ts";
import { freshNamespace, leftovers, rawRedis } from "../support/redis.ts";
import { restartableRedis } from "../support/restartable-redis.ts";
import { temporaryDir } from "../support/run.ts";
import { aclRedis } from "../support/servers/acl.ts";
import { cluster } from "../support/servers/cluster.ts";
import { allowed, leastRights } from "../support/servers/rights.ts";

interface Report {
  code: number | null;
  findings: Record<string, Finding>;
}

/** `millrace doctor --json` of a server: how it ends, and what it has found. */
async function doctor(url: string, namespace: string, env: Record<string, string> = {}): Promise<Report> {
  const own = { REDIS_URL: url, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: await temporaryDir() };
  const command = startFile("node", "cli/main.ts", { args: ["doctor", "--json"], env: { ...own, ...env } });
  const { code } = await command.exited;
  const { ok, findings } = JSON.parse(command.output()) as { ok: boolean; findings: Finding[] };
  expect(ok).toBe(findings.every(({ status }) => status !== "fail"));
  return { code, findings: Object.fromEntries(findings.map((finding) => [finding.check, finding])) };
}

const statuses = ({ findings }: Report, status: Finding["status"]) =>
  Object.keys(findings).filter((check) => findings[check]!.status === status);

test("a server that is set up well is told so, and nothing is left behind in it", async () => {
  const args = ["--maxmemory", "200mb", "--appendfsync", "always"];
  await using redis = await restartableRedis({ args });
  const namespace = freshNamespace();
  const report = await doctor(redis.url, namespace, { MILLRACE_DURABILITY: "disk" });
  expect(report.code).toBe(0);
  // Which faults a release has is of the release.
  expect(statuses(report, "ok").concat("version").sort()).toEqual(
    [...new Set([...Object.keys(report.findings), "version"])].sort(),
  );
  expect(report.findings.durability!.found).toContain("disk, without being asked for");
  expect(report.findings.namespace!.found).toContain("is not there yet");
  expect(await leftovers(redis.url, namespace)).toEqual([]);
});

test("a server that is set up badly is told what to set", async () => {
  await using redis = await restartableRedis({ appendOnly: false, args: ["--maxmemory-policy", "allkeys-lru"] });
  const namespace = freshNamespace();
  const raw = rawRedis(redis.url);
  await raw.hset(`{${namespace}}:meta`, { schema: 99, partitions: 1 });
  const broken = { MILLRACE_DURABILITY: "replicas:2", MILLRACE_BLOBS: "/dev/null/none" };
  const report = await doctor(redis.url, namespace, broken);
  expect(report.code).toBe(1);
  expect(statuses(report, "fail").sort()).toEqual(["blobs", "durability", "eviction", "namespace"]);
  expect(statuses(report, "warn")).toEqual(expect.arrayContaining(["memory", "persistence"]));
  const { eviction, persistence, durability, namespace: space } = report.findings;
  expect(eviction!.advice).toContain("maxmemory-policy noeviction");
  expect(persistence!.advice).toBe("Set appendonly yes.");
  expect(durability!.found).toMatch(/^2 replicas are to confirm, and 0 are connected/);
  expect(space!.found).toMatch(/has schema 99, and this version of Millrace knows schema \d/);
  // It is seen on one line each, too, and for programs with tabs.
  const plain = startFile("node", "cli/main.ts", {
    args: ["doctor"],
    env: { REDIS_URL: redis.url, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: await temporaryDir() },
  });
  expect((await plain.exited).code).toBe(1);
  expect(plain.output()).toMatch(/^fail\teviction\tRedis has maxmemory-policy allkeys-lru: .*\tCONFIG SET /m);
  // A replica takes no runs.
  await raw.replicaof("127.0.0.1", "1");
  expect((await doctor(redis.url, freshNamespace())).findings.connection).toMatchObject({ status: "fail" });
});

test("a user who lacks rights is told which", async () => {
  await using redis = await aclRedis();
  const namespace = freshNamespace();
  const rights = await leastRights(namespace, "secret");
  await redis.set("enough", ...rights);
  const lacking = ["-xadd", "-xgroup|create", "-evalsha", "resetchannels", `&{${namespace}}:heard:*`];
  await redis.set("few", ...rights, ...lacking);
  await redis.set("elsewhere", ...rights, "resetkeys", `~{${namespace}}*`);
  const [enough, few, elsewhere, nobody] = await Promise.all([
    ...["enough", "few", "elsewhere"].map((name) => doctor(redis.as(name, "secret"), namespace)),
    doctor(redis.as("enough", "wrong"), namespace),
  ]);
  expect(enough).toMatchObject({ code: 0, findings: { rights: { status: "warn" } } });
  expect(enough!.findings.rights!.advice).toMatch(/\+config\|get to know where .*\+wait to/);
  expect([few!.code, elsewhere!.code]).toEqual([1, 1]);
  expect(few!.findings.rights!.found).toContain("+xadd +xgroup|create".split(" ")[0]);
  for (const rule of ["+evalsha", "+xadd", "+xgroup|create", `&{${namespace}:*}*`])
    expect(few!.findings.rights!.advice).toContain(rule);
  expect(few!.findings).toMatchObject({ scripts: { status: "fail" }, channels: { status: "fail" } });
  expect(elsewhere!.findings.rights!.found).toContain(`~{${namespace}:*}*`);
  expect(nobody).toMatchObject({ code: 4, findings: { connection: { status: "fail" } } });
});

test("every right of the README's user is tried", async () => {
  const tried = Object.keys(tries("k", "c"));
  const elsewhere = ["auth", "hello", "subscribe", "unsubscribe", "psubscribe", "punsubscribe"];
  expect([...tried, ...elsewhere].sort()).toEqual(allowed(await leastRights("ns", "secret")).sort());
});

test("a cluster is told as one, and which of its nodes is set up worse than the others", async () => {
  await using servers = await cluster();
  const [master] = await servers.masters();
  await master!.client.config("SET", "maxmemory-policy", "volatile-lru");
  const report = await doctor(servers.url, freshNamespace());
  expect([report.code, statuses(report, "fail")]).toEqual([0, []]);
  expect(report.findings.connection!.found).toBe(`cluster of ${(await servers.masters()).length} primaries`);
  expect(report.findings.eviction).toMatchObject({
    status: "warn",
    found: expect.stringContaining(`:${master!.port})`),
  });
  expect(report.findings.replicas).toMatchObject({ status: "warn", found: expect.stringMatching(/^1 connected/) });
}, 60_000);
