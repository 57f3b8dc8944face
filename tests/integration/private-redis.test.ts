import { writeFile } from "node:fs/promises";
import { describe, expect, test, vi } from "vitest";
import { type PrivateRedis, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { missing, RUNTIMES, startFile } from "../support/process.ts";
import { rawRedis } from "../support/redis.ts";
import { ROOT, temporaryDir } from "../support/run.ts";

const home = `${ROOT}.millrace`;

/** Resolves when there is no such process any more. */
async function gone(pid: number): Promise<void> {
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 5_000, interval: 20 });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    expect((error as { code?: string }).code).toBe("ESRCH");
    return false;
  }
}

async function using<T>(redis: PrivateRedis, work: (redis: PrivateRedis) => Promise<T>): Promise<T> {
  try {
    return await work(redis);
  } finally {
    await redis.stop();
  }
}

describe.concurrent("a private Redis", () => {
  test("keeps its data from one start to the next, and stop() may be called twice", async () => {
    const dir = await temporaryDir();
    const first = await startPrivateRedis({ dir, home });
    await rawRedis(first.url).set("kept", "yes");
    await Promise.all([first.stop(), first.stop()]);
    await first.stop();
    expect(await first.exited).toBe(0);
    expect(isAlive(first.pid)).toBe(false);

    await using(await startPrivateRedis({ dir, home }), async ({ url }) => {
      expect(await rawRedis(url).get("kept")).toBe("yes");
      expect(await rawRedis(url).config("GET", "appendfsync")).toContain("everysec");
    });
  });

  test("keeps nothing without the append-only file", async () => {
    const dir = await temporaryDir();
    await using(await startPrivateRedis({ dir, home, appendOnly: false }), ({ url }) =>
      rawRedis(url).set("kept", "no"),
    );
    await using(await startPrivateRedis({ dir, home, appendOnly: false }), async ({ url }) => {
      expect(await rawRedis(url).dbsize()).toBe(0);
    });
  });

  test("takes settings, and a directory with odd characters in its name", async () => {
    const dir = `${await temporaryDir()}/it's "odd" here`;
    const redis = await startPrivateRedis({ dir, home, args: ["--maxmemory", "64mb"] });
    await using(redis, async ({ url }) => {
      expect(await rawRedis(url).config("GET", "maxmemory")).toContain(String(64 * 1024 * 1024));
      expect(await rawRedis(url).config("GET", "dir")).toContain(dir);
    });
  });

  test("does not share its directory with another", async () => {
    const dir = await temporaryDir();
    await using(await startPrivateRedis({ dir, home }), async ({ port }) => {
      const error = await startPrivateRedis({ dir, home }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "redis_dir_in_use" });
      expect(String(error)).toContain(`port ${port}`);
    });
  });

  test("starts where the last one wrote a torn note of itself", async () => {
    const dir = await temporaryDir();
    await writeFile(`${dir}/server.json`, '{"pid":1');
    await using(await startPrivateRedis({ dir, home }), async ({ url }) => {
      expect(await rawRedis(url).ping()).toBe("PONG");
    });
  });

  test("says why it could not start: a port that is taken", async () => {
    await using(await startPrivateRedis({ dir: await temporaryDir(), home }), async ({ port }) => {
      const error = await startPrivateRedis({ dir: await temporaryDir(), home, port }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: "redis_not_started" });
      expect(String(error)).toContain("Address already in use");
    });
  });

  test("says why it could not start: a setting that it does not know", async () => {
    const error = await startPrivateRedis({
      dir: await temporaryDir(),
      home,
      args: ["--no-such-setting", "1"],
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "redis_not_started" });
    expect(String(error)).toContain("no-such-setting");
  });

  test("tells when it ended by itself", async () => {
    const redis = await startPrivateRedis({ dir: await temporaryDir(), home });
    process.kill(redis.pid, "SIGKILL");
    expect(await redis.exited).toBe(128 + 9);
    await redis.stop();
  });

  for (const runtime of RUNTIMES) {
    describe.skipIf(missing(runtime))(`of a program under ${runtime}`, () => {
      test("ends when its parent is killed, and can be started again at once", async () => {
        const dir = await temporaryDir();
        const parent = startFile(runtime, "tests/support/programs/hold-redis.ts", { args: [dir, home] });
        const { pid, port } = JSON.parse(await parent.line(/^\{/)) as { pid: number; port: number };
        await rawRedis(`redis://127.0.0.1:${port}`).set("by", runtime);
        parent.kill("SIGKILL");
        expect(await parent.exited).toEqual({ code: null, signal: "SIGKILL" });
        await using(await startPrivateRedis({ dir, home }), async ({ url }) => {
          expect(await rawRedis(url).get("by")).toBe(runtime);
        });
        await gone(pid);
      });

      test("is not reached by Ctrl-C in its parent's terminal", async () => {
        const dir = await temporaryDir();
        const parent = startFile(runtime, "tests/support/programs/hold-redis.ts", {
          args: [dir, home],
          detached: true,
        });
        const { pid, port } = JSON.parse(await parent.line(/^\{/)) as { pid: number; port: number };
        // As a terminal does it: to the whole foreground process group.
        process.kill(-parent.pid, "SIGINT");
        await parent.line(/^interrupted$/);
        // Redis acts on a signal within 100 ms; it would drop a client that waits here.
        expect(await rawRedis(`redis://127.0.0.1:${port}`).blpop("nothing", 0.3)).toBe(null);
        parent.kill("SIGKILL");
        await gone(pid);
        await parent.exited;
      });
    });
  }
});
