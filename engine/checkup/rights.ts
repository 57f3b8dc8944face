import type { NamespaceKeys } from "../keys.ts";
import type { Call, Client } from "../redis/client.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/**
 * Every command that Millrace uses, as rules of users name it, with arguments that do no harm to a key that is for this alone. To
 * subscribe is tried where channels are looked at; `AUTH` and `HELLO` are everybody's.
 */
export function tries(key: string, channel: string): Record<string, Call> {
  return {
    ping: ["PING"],
    info: ["INFO", "server"],
    time: ["TIME"],
    "client|id": ["CLIENT", "ID"],
    "client|setname": ["CLIENT", "SETNAME", "checkup"],
    "client|unblock": ["CLIENT", "UNBLOCK", 0],
    eval: ["EVAL", "return 1", 1, key],
    evalsha: ["EVALSHA", "0".repeat(40), 1, key],
    "memory|usage": ["MEMORY", "USAGE", key],
    publish: ["PUBLISH", channel, ""],
    exists: ["EXISTS", key],
    scan: ["SCAN", 0, "MATCH", key, "COUNT", 1],
    sadd: ["SADD", key, "a"],
    smembers: ["SMEMBERS", key],
    persist: ["PERSIST", key],
    // What is left of it, where it may not be removed, goes by itself.
    expire: ["EXPIRE", key, 60],
    hget: ["HGET", key, "a"],
    hmget: ["HMGET", key, "a"],
    hgetall: ["HGETALL", key],
    hkeys: ["HKEYS", key],
    hlen: ["HLEN", key],
    hstrlen: ["HSTRLEN", key, "a"],
    hexists: ["HEXISTS", key, "a"],
    hset: ["HSET", key, "a", "a"],
    hsetnx: ["HSETNX", key, "a", "a"],
    hdel: ["HDEL", key, "b"],
    hincrby: ["HINCRBY", key, "c", 1],
    rpush: ["RPUSH", key, "a"],
    llen: ["LLEN", key],
    lrange: ["LRANGE", key, 0, 0],
    lindex: ["LINDEX", key, 0],
    ltrim: ["LTRIM", key, 0, 0],
    zadd: ["ZADD", key, 0, "a"],
    zrem: ["ZREM", key, "b"],
    zcard: ["ZCARD", key],
    zcount: ["ZCOUNT", key, 0, 0],
    zlexcount: ["ZLEXCOUNT", key, "-", "+"],
    zscore: ["ZSCORE", key, "a"],
    zrange: ["ZRANGE", key, 0, 0],
    zrangebyscore: ["ZRANGEBYSCORE", key, 0, 0],
    zrangebylex: ["ZRANGEBYLEX", key, "-", "+"],
    zrandmember: ["ZRANDMEMBER", key],
    xadd: ["XADD", key, "*", "a", "a"],
    xdel: ["XDEL", key, "0-1"],
    xlen: ["XLEN", key],
    xrange: ["XRANGE", key, "-", "+", "COUNT", 1],
    xrevrange: ["XREVRANGE", key, "+", "-", "COUNT", 1],
    "xgroup|create": ["XGROUP", "CREATE", key, "a", 0],
    xreadgroup: ["XREADGROUP", "GROUP", "a", "a", "COUNT", 1, "STREAMS", key, ">"],
    xack: ["XACK", key, "a", "0-1"],
    xclaim: ["XCLAIM", key, "a", "a", 0, "0-1"],
    xpending: ["XPENDING", key, "a"],
    "xinfo|groups": ["XINFO", "GROUPS", key],
    "xgroup|delconsumer": ["XGROUP", "DELCONSUMER", key, "a", "a"],
    del: ["DEL", key],
    unlink: ["UNLINK", key],
  };
}

/** What some of it wants besides. */
function others(key: string, isCluster: boolean): Record<string, { call: Call; need: "all" | "some"; what: string }> {
  return {
    ...(isCluster && { cluster: { call: ["CLUSTER", "KEYSLOT", key], need: "all", what: "to find a run's node" } }),
    "config|get": { call: ["CONFIG", "GET", "appendonly"], need: "some", what: "to know where runs are on disk" },
    wait: { call: ["WAIT", 0, 1], need: "some", what: "to have starts confirmed by replicas" },
    // Where it is unknown that is what the server answers, to whoever asks.
    waitaof: { call: ["WAITAOF", 0, 0, 1], need: "some", what: "to have them confirmed on disk" },
  };
}

/** Which commands, keys and channels this user is refused. A server of a cluster is asked for all: they are set up alike. */
export async function rightsFinding(client: Client, names: NamespaceKeys, id: string): Promise<Finding> {
  const key = names.checkup(`${id}-rights`);
  const commands = tries(key, names.heard(id));
  const partition = names.partition(0);
  const more = others(key, client.isCluster);
  const asked: [string, Call][] = [
    ...Object.entries(commands),
    [partition.run("checkup"), ["EXISTS", partition.run("checkup")]],
    [partition.runChannel("checkup"), ["PUBLISH", partition.runChannel("checkup"), ""]],
    ...Object.entries(more).map(([name, { call }]): [string, Call] => [name, call]),
  ];
  const missing = new Set<string>();
  const wanted: string[] = [];
  // They leave in this order, and what they leave behind is removed by the last of them.
  const lacks = await Promise.all(asked.map(([name, call]) => lackOf(client, name, call, names.namespace)));
  for (const [i, lack] of lacks.entries()) {
    if (lack === undefined) continue;
    const [name] = asked[i]!;
    if (more[name]?.need === "some") wanted.push(`${lack} ${more[name].what}`);
    else missing.add(lack);
  }
  if (missing.size > 0) {
    const rules = [...missing].join(" ");
    return fail("rights", `this user lacks ${rules}`, `ACL SETUSER NAME ${rules}`);
  }
  if (wanted.length === 0) return ok("rights", "this user may do all that is needed");
  const found = "this user may do what is needed, and not all that helps";
  return warn("rights", found, `Allow ${wanted.join(", ")}.`);
}

/** The rule that would allow a call; undefined if it is allowed. What else it fails with says that it is. */
async function lackOf(client: Client, name: string, call: Call, namespace: string): Promise<string | undefined> {
  try {
    await client.call(...call);
    return undefined;
  } catch (error) {
    const { cause } = error as Error;
    if (!(cause instanceof Error && cause.name === "ReplyError")) throw error;
    const text = cause.message;
    if (!text.startsWith("NOPERM")) return undefined;
    if (/access (a|one of the) channel/.test(text)) return `&{${namespace}}* &{${namespace}:*}*`;
    return /access (a|one of the) key/.test(text) ? `~{${namespace}}* ~{${namespace}:*}*` : `+${name}`;
  }
}
