import type { PartitionKeys } from "../keys.ts";
import { type Call, Client, type Link, type Runnable } from "../redis/client.ts";
import { rest } from "../scripts/rest.ts";
import { withClock } from "../scripts/script.ts";

/** A connection over which the time of runs is ahead of the server's by what a key holds; leases keep to the server's. */
export class ClockedClient extends Client {
  readonly #clocks: readonly string[];
  readonly #scripts = new Map<string, Runnable>();
  #changes = 0;
  #changed = Promise.withResolvers<void>();

  /** @param clocks the keys that hold that, all the same: a script reads the one that its own keys share a slot with */
  constructor(link: Link, clocks: readonly string[]) {
    super(link);
    this.#clocks = clocks;
  }

  /** How many scripts have run: whatever changes in Redis changes by one. */
  get changes(): number {
    return this.#changes;
  }

  /** Resolves once more than `seen` scripts have run, or after `ms`. */
  async changedSince(seen: number, ms: number): Promise<void> {
    if (this.#changes > seen) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([this.#changed.promise, deadline]);
    clearTimeout(timer);
  }

  /** Puts the time of runs forward. */
  async forward(ms: number): Promise<void> {
    await this.pipeline(this.#clocks.map((clock) => ["INCRBY", clock, ms]));
  }

  override async timed(calls: Call[]): Promise<{ nowMs: number; replies: unknown[] }> {
    const { nowMs, replies } = await super.timed([["GET", this.#clocks[0]!], ...calls]);
    return { nowMs: nowMs + Number(replies[0] ?? 0), replies: replies.slice(1) };
  }

  override async run(script: Runnable, keys: string[], args: (string | number)[]): Promise<unknown> {
    let clocked = this.#scripts.get(script.name);
    if (clocked === undefined) {
      clocked = { name: script.name, source: withClock(script.source, this.#clockBeside(keys[0])) };
      this.#scripts.set(script.name, clocked);
    }
    try {
      return await super.run(clocked, keys, args);
    } finally {
      if (script !== rest) this.#note();
    }
  }

  /** A script's keys are always of a partition, or always of none. */
  #clockBeside(key = ""): string {
    const tag = key.slice(0, key.indexOf("}") + 1);
    return this.#clocks.find((clock) => clock.startsWith(tag)) ?? this.#clocks[0]!;
  }

  #note(): void {
    this.#changes += 1;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** How a namespace stands at one instant. */
export interface Standing {
  nowMs: number;
  /** How many timers are due: rows, and redeliveries of subscriptions. */
  due: number;
  /** When the next one is due that is not. */
  nextAt?: number;
  /** What is queued or in hand: `WORKFLOW@VERSION:STEP` or `subscription GROUP`, and how often. */
  atWork: { what: string; entries: number }[];
}

/** The test kit's clock as Redis holds it. */
export class ClockStore {
  readonly #client: ClockedClient;
  readonly #keys: PartitionKeys;

  constructor(client: ClockedClient, keys: PartitionKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  /** Removes every key of a namespace. */
  async removeAll(namespace: string): Promise<void> {
    // A key that has moved to a server that was asked already is found the next time.
    for (let found = 1; found > 0; ) {
      const lists = await Promise.all(this.#client.masters().map((server) => keysAt(server, namespace)));
      const keys = lists.flat();
      await this.#client.replies(keys.map((key) => ["UNLINK", key]));
      found = keys.length;
    }
  }

  /** @param groups the subscriptions that something consumes */
  async standing(groups: readonly string[] = []): Promise<Standing> {
    const any = { workflow: "*", version: "*" };
    const patterns = [this.#keys.step(any, "*"), this.#keys.slots(any, "*")];
    const keys = groups.flatMap((group) => [this.#keys.subscription(group), this.#keys.redeliveries(group)]);
    const found = await this.#client.run(rest, [this.#keys.timers(), this.#keys.paused(), ...keys], patterns);
    const [nowMs, due, next, ...streams] = found as [number, number, string, ...(string | number)[]];
    const standing: Standing = { nowMs, due, atWork: [] };
    if (next !== "") standing.nextAt = Number(next);
    for (let i = 0; i + 1 < streams.length; i += 2) {
      const [, kind, name] = String(streams[i]).match(/\}:(\w+):(.*)$/)!;
      const what = kind === "sub" ? `subscription ${name}` : name!;
      standing.atWork.push({ what, entries: Number(streams[i + 1]) });
    }
    return standing;
  }
}

async function keysAt(server: Client, namespace: string): Promise<string[]> {
  const found: string[] = [];
  let cursor = "0";
  do {
    const scan: Call = ["SCAN", cursor, "MATCH", `{${namespace}[:}]*`, "COUNT", 1_000];
    const [next, keys] = (await server.call(...scan)) as [string, string[]];
    found.push(...keys);
    cursor = next;
  } while (cursor !== "0");
  return found;
}
