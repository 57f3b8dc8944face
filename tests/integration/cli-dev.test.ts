import { existsSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test, vi } from "vitest";
import type { RunView } from "../../engine/index.ts";
import {
  missing,
  type ProcessOptions,
  RUNTIMES,
  type StartedProcess,
  startFile,
  startProgram,
} from "../support/process.ts";
import { rawRedis } from "../support/redis.ts";
import { ROOT, temporaryDir } from "../support/run.ts";

const DEFINITIONS = ["--workflows", `${ROOT}tests/support/programs/definitions.ts`];
const COMPLETED = { status: "completed" };

/** A directory for a Millrace of its own, which need not fetch a Redis server again. */
async function freshDir(): Promise<string> {
  const dir = await temporaryDir();
  await mkdir(`${dir}/.millrace`);
  const fetched = `${ROOT}.millrace/redis`;
  if (existsSync(fetched)) await symlink(fetched, `${dir}/.millrace/redis`);
  return dir;
}

/** `millrace dev` with a private Redis, in a process group of its own as in a terminal. */
class Dev {
  readonly process: StartedProcess;

  constructor(start: (options: ProcessOptions) => StartedProcess, cwd: string, args: readonly string[] = []) {
    const env = { REDIS_URL: undefined, VALKEY_URL: undefined, PORT: "0" };
    this.process = start({ args: ["dev", ...DEFINITIONS, ...args], cwd, env, detached: true });
  }

  async url(): Promise<string> {
    const line = await this.process.line(/^listening on /);
    await this.process.line(/^Ctrl-C/);
    return line.slice("listening on ".length);
  }

  async start(workflow: string, input: unknown): Promise<string> {
    const response = await fetch(`${await this.url()}/v1/workflows/${workflow}/runs`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ input }),
    });
    expect(response.status).toBe(202);
    return ((await response.json()) as { id: string }).id;
  }

  async run(id: string): Promise<RunView> {
    const response = await fetch(`${await this.url()}/v1/runs/${id}`);
    expect(response.status).toBe(200);
    return (await response.json()) as RunView;
  }

  async ended(id: string): Promise<RunView> {
    // The stream of its events ends with it.
    await (await fetch(`${await this.url()}/v1/runs/${id}/events`)).text();
    return this.run(id);
  }

  async redisPid(): Promise<number> {
    const [url] = /redis:\/\/127\.0\.0\.1:\d+/.exec(await this.process.line(/^Redis is a private server/))!;
    return Number(/process_id:(\d+)/.exec(await rawRedis(url).info("server"))![1]);
  }

  /** The process that runs a step which waits; the run ends when `file` is there. */
  async waiting(file: string): Promise<{ id: string; worker: number }> {
    const id = await this.start("waiting", { file });
    const line = await this.process.line(/^at work in process/);
    return { id, worker: Number(/\d+$/.exec(line)![0]) };
  }

  /** As a terminal does it: to every process of the foreground group. */
  interrupt(): void {
    process.kill(-this.process.pid, "SIGINT");
  }
}

const gone = (pid: number) =>
  vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow("ESRCH"), { timeout: 15_000, interval: 20 });

const underNode = (options: ProcessOptions) => startFile("node", "cli/main.ts", options);
const launched = (options: ProcessOptions) =>
  startProgram(process.execPath, [`${ROOT}bin/millrace.mjs`, ...(options.args ?? [])], options);

const WAYS: [string, string | undefined, (options: ProcessOptions) => StartedProcess][] = [
  ...RUNTIMES.map((runtime): (typeof WAYS)[number] => [
    runtime,
    missing(runtime),
    (options) => startFile(runtime, "cli/main.ts", options),
  ]),
  ["the launcher", undefined, launched],
];

describe.concurrent.each(WAYS)("millrace dev under %s", (_, reason, start) => {
  test.skipIf(reason)("runs a workflow, drains on Ctrl-C, leaves no child, and has its runs again", async () => {
    const dir = await freshDir();
    const first = new Dev(start, dir);
    const run = await first.start("adding", { n: 1 });
    expect(await first.ended(run)).toMatchObject({ ...COMPLETED, output: { n: 3 } });
    const file = `${dir}/go`;
    const { id, worker } = await first.waiting(file);
    const redis = await first.redisPid();
    first.interrupt();
    await first.process.line(/^stopping/);
    await writeFile(file, "");
    expect(await first.process.exited).toEqual({ code: 0, signal: null });
    await gone(worker);
    await gone(redis);

    const second = new Dev(start, dir);
    expect(await second.run(run)).toMatchObject({ ...COMPLETED, output: { n: 3 } });
    expect(await second.run(id)).toMatchObject({ ...COMPLETED, output: { waited: true } });
    second.interrupt();
    expect(await second.process.exited).toEqual({ code: 0, signal: null });
  });
});

describe.concurrent("millrace dev", () => {
  for (const runtime of RUNTIMES) {
    test.skipIf(missing(runtime))(`leaves no child under ${runtime} when it is killed`, async () => {
      const dev = new Dev((options) => startFile(runtime, "cli/main.ts", options), await freshDir());
      const { worker } = await dev.waiting("/nowhere");
      const redis = await dev.redisPid();
      dev.process.kill("SIGKILL");
      await dev.process.exited;
      await gone(redis);
      await gone(worker);
    });
  }

  test("ends at once when it is interrupted again later, and leaves no child", async () => {
    const dev = new Dev(underNode, await freshDir());
    const { worker } = await dev.waiting("/nowhere");
    const redis = await dev.redisPid();
    dev.interrupt();
    // The first second's are the same request, and nobody says when it is over: ask until it ends.
    const asking = setInterval(() => dev.process.kill("SIGINT"), 100);
    expect(await dev.process.exited).toEqual({ code: 130, signal: null });
    clearInterval(asking);
    await gone(worker);
    await gone(redis);
  });

  test("starts another worker for one that died", async () => {
    const dev = new Dev(underNode, await freshDir());
    const first = /^worker \S+/.exec(await dev.process.line(/^worker /))![0];
    const { worker } = await dev.waiting("/nowhere");
    process.kill(worker, "SIGKILL");
    await dev.process.line(new RegExp(`^worker (?!${first.slice("worker ".length)})`));
    expect(await dev.ended(await dev.start("adding", { n: 1 }))).toMatchObject(COMPLETED);
    dev.interrupt();
    expect(await dev.process.exited).toEqual({ code: 0, signal: null });
  });

  test("ends with a clear message when its port is taken, and leaves no child", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const dev = new Dev(underNode, await freshDir(), ["--port", String(port)]);
    expect(await dev.process.exited).toEqual({ code: 1, signal: null });
    expect(dev.process.output()).toContain(`millrace: Port ${port} of 127.0.0.1 is in use.`);
    expect(dev.process.output()).not.toMatch(/^\s+at /m);
    await new Promise((resolve) => server.close(resolve));
  });

  test("ends with a clear message when a module is missing", async () => {
    const dev = new Dev(underNode, await freshDir(), ["--workflows", "nowhere.ts"]);
    expect(await dev.process.exited).toEqual({ code: 2, signal: null });
    expect(dev.process.output()).toContain("There is no module nowhere.ts");
  });

  test("ends, and ends its worker, when its Redis does", async () => {
    const dev = new Dev(underNode, await freshDir());
    await dev.url();
    process.kill(await dev.redisPid(), "SIGKILL");
    expect(await dev.process.exited).toMatchObject({ code: 1 });
    expect(dev.process.output()).toContain("millrace: The private Redis server ended by itself (exit code 137)");
  });
});
