import { readdir } from "node:fs/promises";
import { answerOf } from "../gateway.ts";
import { leftovers, rawRedis, redisUrl } from "../redis.ts";

/**
 * What a namespace has whatever was asked of it, or keeps for a time that is told: answers to keys, sums of usage, ends of runs, who works, and
 * keys that are revoked.
 */
const STAYS = [
  /^\{[^}]+\}:(?:meta|graphs|tenants|retention|config|generations|broadcast|retired)$/,
  /^\{[^}]+\}:(?:heard:.+|step:.+|slots:.+|workers|beats|clock|sweep|reconciler|lanes|paused|timers|subscriptions)$/s,
  /^\{[^}]+\}:(?:once|dedupe|usage|ends|api-key|api-keys|operation):?.*$/s,
];

/** Deletes all that the API shows or that was told to be made, and says what is there then that should not be. */
export class Remains {
  readonly #url: string;
  readonly #namespace: string;
  readonly #dir: string;
  readonly #redis = rawRedis();
  /** Documents and uploads, which no list shows. */
  readonly #made = new Set<string>();

  constructor(url: string, namespace: string, dir: string) {
    this.#url = url;
    this.#namespace = namespace;
    this.#dir = dir;
  }

  /** Keeps in mind what a reply says was made. */
  learn(text: string): void {
    for (const [path] of text.matchAll(/\/v1\/(?:documents|uploads)\/[A-Za-z0-9_-]{1,64}/g)) this.#made.add(path);
    for (const [, id = ""] of text.matchAll(/"id":"([A-Za-z0-9_-]{1,64})","name":"(?:[^"\\]|\\.)*","type"/g))
      this.#made.add(`/v1/documents/${id}`);
  }

  /** @returns how many documents were there of which no reply told */
  async clear(): Promise<number> {
    for (const path of this.#made) await this.#call("DELETE", path);
    let untold = 0;
    for (const name of await readdir(this.#dir, { recursive: true })) {
      const id = /([0-9a-f]{32})\.json$/.exec(name)?.[1];
      if (id !== undefined && (await this.#call("DELETE", `/v1/documents/${id}`)).status === 204) untold += 1;
    }
    for (const tenant of ["default", "acme"]) {
      for (const [list, key] of [
        ["/v1/schedules", "name"],
        ["/v1/keys", "id"],
        ["/v1/inbound-hooks", "id"],
        ["/v1/webhooks", "id"],
        ["/v1/config", "key"],
        ["/v1/subscriptions", "group"],
        ["/v1/runs", "id"],
      ] as const)
        for (const each of await this.#all(list, tenant)) {
          const path = `${list}/${encodeURIComponent(String(each[key]))}`;
          if (list === "/v1/runs" && each.endedAt === undefined) await this.#call("POST", `${path}/cancel`, tenant);
          await this.#call("DELETE", path, tenant);
        }
    }
    return untold;
  }

  /** Keys of Redis, and files of the blob store. */
  async left(): Promise<string[]> {
    const keys = await leftovers(redisUrl, this.#namespace);
    const files = await readdir(this.#dir, { recursive: true, withFileTypes: true });
    const paths = files.filter((entry) => entry.isFile()).map((entry) => `file ${entry.name}`);
    const odd = keys.filter((key) => !STAYS.some((pattern) => pattern.test(key)));
    const stays = await Promise.all(odd.map((key) => isOnItsWay(this.#redis, key)));
    const unexpected = [...odd.filter((_, i) => !stays[i]), ...paths];
    // One of each kind tells as much as all.
    return [...new Map(unexpected.map((each) => [each.split(":").slice(0, 3).join(":"), each])).values()];
  }

  // biome-ignore lint/suspicious/noExplicitAny: what lists of several kinds have
  async #all(list: string, tenant: string): Promise<any[]> {
    const all = [];
    for (let cursor = ""; ; ) {
      const query = /subscriptions|hooks$/.test(list) ? "" : `?limit=100${cursor}`;
      const { body } = await this.#call("GET", `${list}${query}`, tenant);
      all.push(...(body.data ?? []));
      if (body.next === undefined) return all;
      cursor = `&cursor=${encodeURIComponent(body.next)}`;
    }
  }

  async #call(method: string, path: string, tenant = "default") {
    const headers = { "Tus-Resumable": "1.0.0", "Millrace-Tenant": tenant };
    return answerOf(await fetch(this.#url + path, { method, headers }));
  }
}

/** Whether a key is of an upload that was deleted, which is told of it for a minute, a stream of which all was dropped, or counts nothing. */
async function isOnItsWay(redis: ReturnType<typeof rawRedis>, key: string): Promise<boolean> {
  if (/:delayed$/.test(key)) return (await redis.hvals(key)).every((count) => count === "0");
  if (/:upload:/.test(key)) return (await redis.hget(key, "state")) === "gone";
  return /:dead:/.test(key) && (await redis.xlen(key)) === 0;
}
