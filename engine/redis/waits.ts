import type { Call, Client, Runnable, ScriptRunner } from "./client.ts";

/** So many scripts share one wait. */
const AT_ONCE = 100;
/**
 * Nothing has run: another node has the keys now, or the server does not know the script; or the client has just heard that not
 * all of them are at one node, and has sent nothing.
 */
const NOT_RUN = /^(NOSCRIPT|MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b|^All keys in the pipeline should belong/;

interface Asked {
  script: Runnable;
  keys: string[];
  args: (string | number)[];
  resolve: (waited: Waited) => void;
  reject: (error: unknown) => void;
}

export interface Waited {
  /** The script's. */
  reply: unknown;
  /** The wait's, for what this connection wrote up to then; undefined if it did not follow this script there. */
  waited: unknown;
}

/**
 * Runs scripts, each with a wait behind it in the same pipeline. `WAIT` and `WAITAOF` are about what their own connection wrote
 * last and answer at once on one that was idle since, so a wait that travels by itself may confirm nothing at all. They hold
 * up their connection, which is therefore used for nothing else; and what is asked for meanwhile goes together afterwards.
 */
export class Waits {
  readonly #client: Client;
  readonly #wait: Call;
  /** By node: what waits for the pipeline before it to be answered. */
  readonly #queues = new Map<string, Asked[]>();

  constructor(client: Client, wait: Call) {
    this.#client = client;
    this.#wait = wait;
  }

  /** @throws as `Client.run`, if the script itself failed */
  async run(script: Runnable, keys: string[], args: (string | number)[]): Promise<Waited> {
    const node = await this.#client.nodeOf(keys[0]!);
    return new Promise((resolve, reject) => {
      const asked = { script, keys, args, resolve, reject };
      const queue = this.#queues.get(node);
      if (queue !== undefined) return void queue.push(asked);
      this.#queues.set(node, [asked]);
      void this.#drain(node);
    });
  }

  async #drain(node: string): Promise<void> {
    const queue = this.#queues.get(node)!;
    while (queue.length > 0) await this.#send(queue.splice(0, AT_ONCE));
    this.#queues.delete(node);
  }

  async #send(batch: readonly Asked[]): Promise<void> {
    try {
      const replies = await this.#client.runTogether(batch, this.#wait);
      const waited = replies[batch.length];
      for (const [i, asked] of batch.entries()) this.#settle(asked, replies[i], waited);
    } catch (error) {
      for (const asked of batch) this.#settle(asked, error, undefined);
    }
  }

  #settle({ script, keys, args, resolve, reject }: Asked, reply: unknown, waited: unknown): void {
    if (!(reply instanceof Error)) resolve({ reply, waited });
    else if (!(reply.cause instanceof Error && NOT_RUN.test(reply.cause.message))) reject(reply);
    // This finds the node and brings the source along.
    else this.#client.run(script, keys, args).then((reply) => resolve({ reply, waited: undefined }), reject);
  }
}

/** One start's: runs the script that admits, and keeps what its wait came to. */
export class WaitingRunner implements ScriptRunner {
  readonly #waits: Waits;
  /** Of the last script. */
  waited: unknown;

  constructor(waits: Waits) {
    this.#waits = waits;
  }

  async run(script: Runnable, keys: string[], args: (string | number)[]): Promise<unknown> {
    const { reply, waited } = await this.#waits.run(script, keys, args);
    this.waited = waited;
    return reply;
  }
}
