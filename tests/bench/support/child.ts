// What every process of the bench does that is started by another: it does what it is asked to, and ends with who started it.

/** What a process takes, the most that it took since it was last asked, and how long it has computed. */
export interface Memory {
  rss: number;
  most: number;
  cpuS: number;
}

type Handlers = Record<string, (argument: never) => unknown>;

/** Has this process answer what its parent asks, by name, and `memory` and `heap`. Tells the parent that it is ready. */
export function serves(handlers: Handlers, ready: unknown = undefined): void {
  let most = 0;
  setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 50);
  const memory = (): Memory => {
    const { user, system } = process.cpuUsage();
    const now = { rss: process.memoryUsage.rss(), most, cpuS: (user + system) / 1e6 };
    most = 0;
    return now;
  };
  /** What is in use once all that is not has been let go, in bytes; Node needs `--expose-gc` for that. */
  const heap = () => {
    (globalThis as { gc?: () => void }).gc?.();
    return process.memoryUsage().heapUsed;
  };
  const all: Handlers = { memory, heap, ...handlers };
  process.on("message", async ({ id, name, argument }: { id: number; name: string; argument: never }) => {
    try {
      process.send!({ id, value: await all[name]!(argument) });
    } catch (error) {
      process.send!({ id, error: error instanceof Error ? error.stack : String(error) });
    }
  });
  // An orderly end, so that a profile is written.
  process.on("SIGTERM", () => process.exit());
  process.on("disconnect", () => process.exit());
  process.send!({ id: 0, value: ready });
}
