import type { Redis } from "ioredis";
import { Client, type Link, type Runnable } from "../../../engine/redis/client.ts";
import { Reply } from "../../../engine/store.ts";
import { rawRedis } from "../redis.ts";
import { keysLike } from "../redis-client.ts";

/** What a namespace held when a script was called: each key as DUMP gives it. */
type Held = ReadonlyMap<string, Buffer>;

export interface ScriptCall {
  script: Runnable;
  keys: string[];
  args: (string | number)[];
  before: Held;
}

/** So many calls of a script are kept of each number of keys. */
const KEPT = 2;

/** Keeps what scripts are called with, and what Redis held then. */
export class ScriptCalls {
  readonly #kept = new Map<string, ScriptCall[]>();
  #last: Promise<unknown> = Promise.resolve();

  get all(): ScriptCall[] {
    return [...this.#kept.values()].flat();
  }

  /** For `connectBy`: a client whose calls of scripts are kept. @param url of the same server, to look into it */
  client(link: Link, url: string, namespace: string): Client {
    const looking = rawRedis(url);
    return new RecordedClient(link, (call, run) => {
      const kind = `${call.script.name} ${call.keys.length}`;
      const kept = this.#kept.get(kind) ?? [];
      this.#kept.set(kind, kept);
      if (kept.length >= KEPT) return run();
      // One at a time: what is looked at is what the script will find.
      const done = this.#last.then(async () => {
        kept.push({ ...call, before: await heldBy(looking, namespace) });
        return run();
      });
      this.#last = done.catch(() => {});
      return done;
    });
  }
}

type Around = (call: Omit<ScriptCall, "before">, run: () => Promise<unknown>) => Promise<unknown>;

class RecordedClient extends Client {
  readonly #around: Around;

  constructor(link: Link, around: Around) {
    super(link);
    this.#around = around;
  }

  override run(script: Runnable, keys: string[], args: (string | number)[]): Promise<unknown> {
    return this.#around({ script, keys, args }, () => super.run(script, keys, args));
  }
}

async function heldBy(redis: Redis, namespace: string): Promise<Held> {
  const keys = [...(await keysLike(redis, `{${namespace}}*`)), ...(await keysLike(redis, `{${namespace}:*}*`))].sort();
  const dumps = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
  return new Map(keys.flatMap((key, i) => (dumps[i] === null ? [] : [[key, dumps[i]!] as const])));
}

/**
 * Makes a call again on another server, where one of its keys holds a type that is not the engine's.
 *
 * @returns what went wrong: it was refused, or broke off, and had written something; undefined if nothing did
 */
export async function withWrongType(
  redis: Redis,
  { script, keys, args, before }: ScriptCall,
  wrong: string,
  namespace: string,
): Promise<string | undefined> {
  await redis.flushall();
  await Promise.all([...before].map(([key, dump]) => key !== wrong && redis.restore(key, 0, dump)));
  await redis.set(wrong, "not ours");
  const found = await heldBy(redis, namespace);
  const reply = await redis.eval(script.source, keys.length, ...keys, ...args).catch((error: Error) => error);
  const left = await heldBy(redis, namespace);
  const changed = [...new Set([...found.keys(), ...left.keys()])].filter(
    (key) => !found.get(key)?.equals(left.get(key) ?? Buffer.of()),
  );
  const refused = reply instanceof Error || [reply].flat(3).includes(Reply.WrongType);
  if (changed.length === 0 || !refused) return undefined;
  const said = reply instanceof Error ? reply.message : JSON.stringify(reply);
  return `${script.name} with ${wrong} of a wrong type said ${said}, and changed ${changed.join(", ")}`;
}
