import { expect, vi } from "vitest";
import type { WorkerProcess } from "../fleet.ts";
import type { Mode, TcpProxy } from "../proxy.ts";
import { connectTo } from "../redis-client.ts";
import type { RestartableRedis } from "../restartable-redis.ts";
import type { Cluster } from "../servers/cluster.ts";
import type { FaultBench } from "./bench.ts";
import type { Random } from "./random.ts";
import type { Fault } from "./schedule.ts";

const lasting = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A worker ends by a signal, and another one takes its place, which is there before the next one ends. @param spared is let be */
export function workerEnded(bench: FaultBench, signal: "SIGKILL" | "SIGTERM", spared?: WorkerProcess): Fault {
  let next: Promise<unknown> = Promise.resolve();
  return {
    name: `a worker ended by ${signal}`,
    async inject(random) {
      await next;
      const victim = random.pick(bench.fleet.workers.filter((worker) => worker !== spared));
      victim.kill(signal);
      await victim.exited;
      next = anotherOne(bench);
      // What it fails with, the next fault fails with too.
      next.catch(() => {});
      return victim.consumer;
    },
  };
}

/** One that finds no Redis ends, and is started again, as whatever watches over processes does. */
async function anotherOne(bench: FaultBench): Promise<void> {
  for (let tries = 1; ; tries += 1)
    try {
      await bench.workers(1);
      return;
    } catch (error) {
      if (tries === 5) throw error;
    }
}

/**
 * A worker whose steps take a while stands still until others have taken all that it holds, and goes on while they are at it,
 * or when they are done: what it comes to then is refused.
 *
 * @param url of the server that holds the keys
 */
export function workerStopped(bench: FaultBench, when: "early" | "late", url: string, spared?: WorkerProcess): Fault {
  const { fleet, load } = bench;
  const steps = ["pack", "leave", "cross", "arrive"].map((step) => `{${fleet.namespace}:0}:step:journey@1:${step}`);
  return {
    name: `a worker stopped, and woken ${when}`,
    async inject(random: Random) {
      const redis = connectTo(url);
      const held = async (consumer: string) => {
        const rows = await Promise.all(steps.map((key) => redis.xpending(key, "workers", "-", "+", 1_000, consumer)));
        return (rows.flat() as [string][]).map(([id]) => id);
      };
      const [zombie, entries] = await stoppedAtWork(fleet.workers, held, random, spared);
      await vi.waitFor(async () => expect(await held(zombie.consumer)).toEqual([]), { timeout: 20_000 });
      const before = zombie.output().length;
      if (when === "late") await load.ends(20);
      zombie.kill("SIGCONT");
      const refused = () =>
        zombie
          .output()
          .slice(before)
          .match(/was refused|is lost/g) ?? [];
      await vi.waitFor(() => expect(refused()).not.toEqual([]), { timeout: 10_000 });
      redis.disconnect();
      return `${zombie.consumer} held ${entries.length} entries`;
    },
  };
}

/** Stops one that holds something just then. */
async function stoppedAtWork(
  workers: readonly WorkerProcess[],
  held: (consumer: string) => Promise<string[]>,
  random: Random,
  spared: WorkerProcess | undefined,
): Promise<[WorkerProcess, string[]]> {
  for (let tries = 0; tries < 50; tries += 1) {
    const worker = random.pick(workers.filter((each) => each !== spared));
    worker.kill("SIGSTOP");
    const entries = await held(worker.consumer);
    if (entries.length > 0) return [worker, entries];
    worker.kill("SIGCONT");
    await lasting(20);
  }
  throw new Error("No worker holds anything.");
}

/** A Redis goes away for a while, and comes back with all that it had said it has. */
export function redisAway(redis: RestartableRedis, how: "killed" | "stopped", longestMs: number): Fault {
  return {
    name: `Redis ${how}`,
    async inject(random) {
      const ms = random.whole(0, longestMs);
      if (how === "killed") await redis.kill();
      else redis.signal("SIGSTOP");
      await lasting(ms);
      if (how === "killed") await redis.start();
      else redis.signal("SIGCONT");
      return `for ${ms} ms`;
    },
  };
}

/** What happens on the way to Redis over a proxy: each of them once it is used, and it hits something or the fault is not over. */
export function onTheWay(proxy: TcpProxy, who: string, longestMs: number): Fault[] {
  const harmed = (name: string, mode: Mode, isCut: boolean): Fault => ({
    name: `${who}: ${name}`,
    async inject(random) {
      const ms = random.whole(1, longestMs);
      const before = proxy.lost;
      await proxy.until((each) => each.carrying("evalsha") > 0);
      proxy.set(mode);
      if (mode === "drop-replies" || mode === "black-hole") await proxy.until(({ lost }) => lost > before);
      await lasting(ms);
      proxy.set("pass");
      return `for ${ms} ms${isCut ? `, ${proxy.cut()} connections cut` : ""}`;
    },
  });
  return [
    harmed("connections cut", "pass", true),
    harmed("replies lost, then cut", "drop-replies", true),
    harmed("nothing passes, then cut", "black-hole", true),
    harmed("late", { delayMs: 50 }, false),
    harmed("a byte at a time", "dribble", false),
  ];
}

export function scriptsForgotten(urls: readonly string[]): Fault {
  return {
    name: "scripts forgotten",
    async inject() {
      for (const url of urls) {
        const client = connectTo(url);
        await client.script("FLUSH");
        client.disconnect();
      }
      return undefined;
    },
  };
}

export function plannedFailover(servers: Cluster): Fault {
  return {
    name: "a planned failover",
    async inject(random) {
      const before = random.pick(await servers.masters());
      const after = await servers.failover(before);
      return `from port ${before.port} to ${after.port}`;
    },
  };
}

/** What it had not told its replica is lost. */
export function masterKilled(servers: Cluster): Fault {
  return {
    name: "a master killed",
    async inject(random) {
      const master = random.pick(await servers.masters());
      const next = await servers.crash(master);
      await servers.revive(master);
      return `port ${master.port}, after which comes ${next.port}`;
    },
  };
}

/** One that any key may be in. */
export function slotMoved(servers: Cluster): Fault {
  return {
    name: "a slot moved",
    async inject(random) {
      const masters = await servers.masters();
      const slot = random.whole(0, 16_383);
      const holder = await servers.masterOfSlot(slot);
      const to = random.pick(masters.filter((master) => master !== holder));
      await servers.moveSlot(slot, to);
      return `${slot} to port ${to.port}`;
    },
  };
}
