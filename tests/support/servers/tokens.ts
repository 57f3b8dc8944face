import type { Redis } from "ioredis";
import type { RedisCredentials } from "../../../engine/index.ts";

/** Gives tokens that end, as cloud services do. */
export class Tokens {
  readonly #servers: readonly Redis[];
  readonly #lifeMs: number;
  readonly #waiting = new Set<() => void>();
  readonly #ending = new Set<ReturnType<typeof setTimeout>>();
  #toFail = 0;
  #disposed = false;
  asked = 0;
  given = 0;
  ended = 0;

  /**
   * Each token is a user of its own, `token-N`, on each of the servers. At its end the user is deleted, by which the servers
   * close the connections that are still signed in as that.
   *
   * @param servers clients that may do that
   */
  constructor(servers: readonly Redis[], lifeMs: number) {
    this.#servers = servers;
    this.#lifeMs = lifeMs;
  }

  readonly provider = async (): Promise<RedisCredentials> => {
    this.asked += 1;
    this.#changed();
    if (this.#toFail > 0) {
      this.#toFail -= 1;
      throw new Error("no tokens today");
    }
    const n = this.given + 1;
    const [username, password] = [`token-${n}`, `secret-${n}`];
    const rules = ["on", `>${password}`, "~*", "&*", "+@all"];
    await Promise.all(this.#servers.map((server) => server.call("ACL", "SETUSER", username, ...rules)));
    this.given = n;
    this.#changed();
    const ending = setTimeout(() => void this.#end(username, ending), this.#lifeMs);
    this.#ending.add(ending);
    return { username, password, expiresAt: new Date(Date.now() + this.#lifeMs) };
  };

  failNext(times: number): void {
    this.#toFail = times;
  }

  /** Resolves once that holds; looks again whenever it is asked, or a token is given or ends. */
  until(met: (tokens: Tokens) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!met(this)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const each of this.#ending) clearTimeout(each);
  }

  async #end(username: string, ending: ReturnType<typeof setTimeout>): Promise<void> {
    this.#ending.delete(ending);
    try {
      await Promise.all(this.#servers.map((server) => server.call("ACL", "DELUSER", username)));
    } catch (error) {
      // The servers are gone, and the users with them.
      if (!this.#disposed) throw error;
    }
    this.ended += 1;
    this.#changed();
  }

  #changed(): void {
    for (const look of this.#waiting) look();
  }
}
