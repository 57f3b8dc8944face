import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { upgradeWebSocket } from "@hono/node-server";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { makeProgram } from "../../cli/program.ts";
import { readSettings, VARIABLES } from "../../cli/settings.ts";
import { connect } from "../../engine/index.ts";
import { openDoor } from "../../gateway/access/open-door.ts";
import { createApp } from "../../gateway/app.ts";
import { adding } from "../support/programs/definitions.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { ROOT } from "../support/run.ts";

interface Service {
  build?: string;
  image?: string;
  command: string[];
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, unknown>;
  deploy?: { replicas?: number };
  healthcheck?: { test: string[] };
  stop_grace_period?: string;
}

const compose = parse(await readFile(`${ROOT}compose.yaml`, "utf8"), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);
const ours = services.filter(([, service]) => service.build !== undefined);
const { redis, gateway, worker } = compose.services as Record<"redis" | "gateway" | "worker", Service>;

/** What a command line asks for, by the program that will parse it. */
async function parsed(args: readonly string[]): Promise<{ name: string; options: Record<string, unknown> }> {
  let found: { name: string; options: Record<string, unknown> } | undefined;
  const note = (name: string) => async (options: object) => {
    found = { name, options: { ...options } };
  };
  const services = { dev: note("dev"), gateway: note("gateway"), worker: note("worker") };
  const operating = { runs: note("runs"), deadLetters: note("dead-letters"), versions: note("versions") };
  const others = { ...operating, subscriptions: note("subscriptions"), keys: note("keys") };
  const pausing = { pause: note("pause"), resume: note("resume"), paused: async () => {} };
  const stored = { config: note("config"), schedules: note("schedules") };
  const looking = { doctor: async () => {}, queues: note("queues"), upload: note("upload") };
  const program = makeProgram({ ...services, ...others, ...pausing, ...stored, ...looking });
  await program.parseAsync([...args], { from: "user" });
  return found!;
}

describe("compose.yaml", () => {
  test("starts a gateway and two workers by real command lines", async () => {
    expect(await parsed(gateway.command)).toMatchObject({ name: "gateway" });
    expect(await parsed(worker.command)).toMatchObject({ name: "worker" });
    expect(worker.deploy?.replicas).toBe(2);
    expect(ours.map(([name]) => name)).toEqual(["gateway", "worker"]);
  });

  test("gives a worker longer to stop than it drains", async () => {
    const { options } = await parsed(worker.command);
    expect(Number.parseInt(worker.stop_grace_period!, 10) * 1_000).toBeGreaterThanOrEqual(
      Number(options.drainMs) + 15_000,
    );
  });

  test.each(ours)("sets variables of %s that are read, to values that are taken", (_, service) => {
    expect(VARIABLES).toEqual(expect.arrayContaining(Object.keys(service.environment!)));
    expect(readSettings(service.environment!).redisUrl).toBe("redis://redis:6379");
  });

  test("publishes the port that the gateway listens on, on every address of its container", () => {
    const { port, host } = readSettings(gateway.environment!);
    expect({ port, host }).toEqual({ port: 8787, host: "0.0.0.0" });
    expect(gateway.ports).toEqual([`127.0.0.1:8787:${port}`]);
  });

  test("looks after the gateway's health at a path that it serves", async () => {
    const [, path] = /http:\/\/127\.0\.0\.1:8787(\/\w+)/.exec(gateway.healthcheck!.test.join(" "))!;
    const millrace = await connect({ url: redisUrl, namespace: freshNamespace(), workflows: [adding] });
    const response = await createApp({ millrace, door: openDoor, upgradeWebSocket }).request(path!);
    await millrace.close();
    expect(path).toBe("/readyz");
    expect(response.status).toBe(200);
  });

  test("keeps Redis's append-only file and the blobs on volumes", () => {
    expect(redis.command.join(" ")).toContain("--appendonly yes");
    expect(redis.volumes).toEqual(["redis-data:/data"]);
    for (const [, { volumes, environment }] of ours) expect(volumes).toEqual([`blobs:${environment?.MILLRACE_BLOBS}`]);
  });

  test.each(services)("names volumes and services in %s that exist", (_, service) => {
    for (const volume of service.volumes ?? []) expect(Object.keys(compose.volumes)).toContain(volume.split(":")[0]);
    for (const name of Object.keys(service.depends_on ?? {})) expect(Object.keys(compose.services)).toContain(name);
  });

  test("pins every image", async () => {
    const dockerfile = await readFile(`${ROOT}Dockerfile`, "utf8");
    const images = [redis.image!, ...[...dockerfile.matchAll(/^FROM (\S+)/gm)].map((match) => match[1]!)];
    for (const image of images) expect(image).toMatch(/:\d+(\.\d+)*-/);
  });
});

describe("Dockerfile", () => {
  test("copies what exists, and starts the command", async () => {
    const dockerfile = await readFile(`${ROOT}Dockerfile`, "utf8");
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) => match[1]!.split(" "));
    expect(copied).toEqual(expect.arrayContaining(["engine", "workflows", "gateway", "cli", "package-lock.json"]));
    for (const path of copied) expect(existsSync(`${ROOT}${path}`), path).toBe(true);
    const entry = JSON.parse(/^ENTRYPOINT (.+)$/m.exec(dockerfile)![1]!) as string[];
    expect(entry[0]).toBe("bun");
    expect(existsSync(`${ROOT}${entry[1]}`)).toBe(true);
  });
});
