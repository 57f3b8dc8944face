import { writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { connect, type Millrace, type RunView } from "../../engine/index.ts";
import { missing, RUNTIMES, type Runtime, type StartedProcess, startFile } from "../support/process.ts";
import { adding, waiting } from "../support/programs/definitions.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

const DEFINITIONS = "tests/support/programs/definitions.ts";

interface Millracing {
  worker: StartedProcess;
  millrace: Millrace;
}

/** A worker process that serves a namespace of its own, once it is ready, and a connection to the same. */
async function withWorker(
  runtime: Runtime,
  args: readonly string[],
  work: (parts: Millracing) => Promise<void>,
): Promise<void> {
  const namespace = freshNamespace();
  const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: await temporaryDir() };
  const worker = startFile(runtime, "cli/main.ts", { args: ["worker", "--workflows", DEFINITIONS, ...args], env });
  const millrace = await connect({ url: redisUrl, namespace, workflows: [adding, waiting] });
  try {
    await worker.line(/^worker \S+ serves /);
    await work({ worker, millrace });
  } finally {
    await millrace.close();
    await worker.stop();
  }
}

/** The run when it has ended. */
async function ended(millrace: Millrace, id: string): Promise<RunView> {
  for await (const _ of millrace.watch(id, { signal: AbortSignal.timeout(20_000) }));
  return millrace.runs.get(id);
}

describe.each(RUNTIMES)("millrace worker under %s", (runtime) => {
  describe.skipIf(missing(runtime))("as installed here", () => {
    test("says what it serves, runs it, and drains when asked to stop", async () => {
      await withWorker(runtime, [], async ({ worker, millrace }) => {
        const line = await worker.line(/^worker /);
        expect(line).toMatch(/^worker [0-9a-f]{32} serves adding@1:one, adding@1:two, waiting@1:wait$/);
        const run = await millrace.runs.start("adding", { n: 1 });
        expect(await ended(millrace, run.id)).toMatchObject({ status: "completed", output: { n: 3 } });

        const file = `${await temporaryDir()}/go`;
        const slow = await millrace.runs.start("waiting", { file });
        await worker.line(/^at work/);
        // As Ctrl-C arrives: from the terminal, and again from whatever started it.
        worker.kill("SIGINT");
        worker.kill("SIGTERM");
        await writeFile(file, "");
        expect(await worker.exited).toEqual({ code: 0, signal: null });
        expect(await ended(millrace, slow.id)).toMatchObject({ status: "completed", output: { waited: true } });
      });
    });

    test("gives back what is not done when the drain is over", async () => {
      await withWorker(runtime, ["--drain-ms", "0"], async ({ worker, millrace }) => {
        const { id } = await millrace.runs.start("waiting", { file: "/nowhere" });
        await worker.line(/^at work/);
        worker.kill("SIGTERM");
        expect(await worker.exited).toEqual({ code: 0, signal: null });
        expect((await millrace.runs.get(id)).steps).toMatchObject({ wait: { status: "queued" } });
      });
    });
  });
});

describe.concurrent("millrace worker", () => {
  test("serves only the steps that it is given", async () => {
    await withWorker("node", ["--steps", "adding/two,wait", "--concurrency", "3"], async ({ worker }) => {
      expect(await worker.line(/^worker /)).toMatch(/ serves adding@1:two, waiting@1:wait$/);
    });
  });

  test("ends at once when it is asked again later", async () => {
    await withWorker("node", ["--drain-ms", "60000"], async ({ worker, millrace }) => {
      await millrace.runs.start("waiting", { file: "/nowhere" });
      await worker.line(/^at work/);
      worker.kill("SIGTERM");
      // The first second's are the same request, and nobody says when it is over: ask until it ends.
      const asking = setInterval(() => worker.kill("SIGTERM"), 100);
      const { code } = await worker.exited;
      clearInterval(asking);
      expect(code).toBe(130);
    });
  });

  const refused = async (args: readonly string[], env: Record<string, string | undefined> = {}) => {
    const worker = startFile("node", "cli/main.ts", {
      args: ["worker", ...args],
      env: { REDIS_URL: redisUrl, ...env },
    });
    const { code } = await worker.exited;
    return { code, said: worker.output() };
  };

  test.each([
    [["--workflows", "nowhere.ts"], "There is no module nowhere.ts"],
    [["--workflows", "cli/stop.ts"], "exports no workflow"],
    [["--workflows", "package-lock.json"], "cannot be loaded"],
    [["--workflows", DEFINITIONS, "--steps", "adding/three"], 'there is no step "adding/three"'],
    [["--concurrency", "many"], "It takes a whole number from 1 to 10000"],
    [["--lease-ms", "5"], "It takes a whole number from 100"],
    [["--drain-ms", "-1"], "It takes a whole number from 0"],
    [["--unknown"], "unknown option '--unknown'"],
    [["extra"], "too many arguments"],
  ])("refuses %j with exit code 2", async (args, message) => {
    const { code, said } = await refused(args);
    expect(said).toContain(message);
    expect(said).not.toMatch(/^\s+at /m);
    expect(code).toBe(2);
  });

  test("refuses a missing or wrong REDIS_URL with exit code 2", async () => {
    expect(await refused([], { REDIS_URL: undefined })).toMatchObject({
      code: 2,
      said: expect.stringContaining("REDIS_URL is not set"),
    });
    expect(await refused([], { REDIS_URL: "localhost" })).toMatchObject({
      code: 2,
      said: expect.stringContaining("REDIS_URL takes a URL"),
    });
  });

  test("says that Redis cannot be reached, with exit code 4", async () => {
    const { code, said } = await refused(["--workflows", DEFINITIONS], { REDIS_URL: "redis://127.0.0.1:1" });
    expect(said).toMatch(/millrace: Redis at 127\.0\.0\.1:\d+ is not available: \S/);
    expect(said).not.toMatch(/^\s+at /m);
    expect(code).toBe(4);
  });
});
