import { readFile } from "node:fs/promises";
import type { Redis } from "ioredis";

/** How the memory of something went. Sizes in MB. */
export interface Slope {
  what: string;
  first: number;
  last: number;
  most: number;
  /** Of the straight line through the second half of its samples: by then a process has what it needs. */
  perHour: number;
}

interface Sample {
  atMs: number;
  mb: number;
}

/** Samples memory every so often. For `using`. */
export class MemoryLog {
  readonly #of = new Map<string, { read: () => Promise<number>; samples: Sample[] }>();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(everyMs: number) {
    this.#timer = setInterval(() => void this.#sample(), everyMs);
  }

  process(what: string, pid: number): void {
    this.#of.set(what, { read: () => residentMb(pid), samples: [] });
  }

  /** @param of gives a client, whenever it is asked: a server that was killed has a new one */
  redis(what: string, of: () => Redis): void {
    this.#of.set(what, { read: () => usedMb(of), samples: [] });
  }

  slopes(): Slope[] {
    return [...this.#of].map(([what, { samples }]) => {
      const sizes = samples.map(({ mb }) => mb);
      return {
        what,
        first: round(sizes[0] ?? 0),
        last: round(sizes.at(-1) ?? 0),
        most: round(Math.max(0, ...sizes)),
        perHour: round(perHour(samples.slice(Math.floor(samples.length / 2)))),
      };
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #sample(): Promise<void> {
    const atMs = performance.now();
    for (const { read, samples } of this.#of.values())
      await read().then(
        (mb) => samples.push({ atMs, mb }),
        // It is away just now.
        () => {},
      );
  }
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) / 1_024;
}

/** What a server's data take. */
export async function usedBytes(client: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await client.info("memory"))![1]);
}

async function usedMb(of: () => Redis): Promise<number> {
  const client = of();
  try {
    return (await usedBytes(client)) / 2 ** 20;
  } finally {
    client.disconnect();
  }
}

/** By least squares. */
function perHour(samples: readonly Sample[]): number {
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  const [x, y] = [mean(samples.map(({ atMs }) => atMs)), mean(samples.map(({ mb }) => mb))];
  const over = samples.reduce((sum, { atMs, mb }) => sum + (atMs - x) * (mb - y), 0);
  const under = samples.reduce((sum, { atMs }) => sum + (atMs - x) ** 2, 0);
  return under === 0 ? 0 : (3_600_000 * over) / under;
}

function round(mb: number): number {
  return Math.round(10 * mb) / 10;
}
