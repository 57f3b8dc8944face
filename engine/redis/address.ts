import { MillraceError } from "../errors.ts";

/** One of several servers that are named together. */
export interface Seed {
  host: string;
  port: number;
}

/** Where Redis is, as `REDIS_URL` says it. */
export interface RedisAddress {
  /** With each of the servers in its place, what ioredis takes: user, password, database and options are the same for all. */
  urls: readonly string[];
  seeds: readonly Seed[];
  /** The seeds are sentinels, and know where the primary of this name is. */
  sentinelName: string | undefined;
}

const FORMS =
  "redis://HOST:PORT (rediss:// for TLS), redis://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/NAME";
const PARTS = /^(rediss?)(\+sentinel)?:\/\/(.*@)?([^@/?#]*)(\/[^?#]*)?(\?[^#]*)?$/i;
const PORT = 6_379;
const SENTINEL_PORT = 26_379;

/**
 * Reads an address. No message repeats any of it, since there may be a password in it.
 *
 * @throws MillraceError `bad_redis_url`
 */
export function parseRedisUrl(text: string): RedisAddress {
  const [, protocol, isSentinel, login = "", servers, path = "/", query = ""] = PARTS.exec(text) ?? [];
  if (protocol === undefined || servers === undefined) throw bad(`is none of ${FORMS}`);
  const scheme = protocol.toLowerCase();
  if (isSentinel === undefined) {
    const urls = servers.split(",").map((server) => `${scheme}://${login}${server}${path}${query}`);
    return { urls, seeds: urls.map((url) => seedOf(url, PORT)), sentinelName: undefined };
  }
  if (scheme === "rediss") throw bad("takes no TLS with sentinels");
  const [, name = "", database = "", ...more] = path.split("/");
  if (name === "" || more.length > 0)
    throw bad("names the primary after the sentinels: redis+sentinel://HOST:PORT,HOST:PORT/NAME");
  const urls = servers.split(",").map((server) => `redis://${login}${server}/${database}${query}`);
  return { urls, seeds: urls.map((url) => seedOf(url, SENTINEL_PORT)), sentinelName: decodeURIComponent(name) };
}

function seedOf(url: string, port: number): Seed {
  if (!URL.canParse(url)) throw bad(`has a part that is no HOST:PORT; it is one of ${FORMS}`);
  const parsed = new URL(url);
  if (parsed.hostname === "") throw bad(`has a server without a host; it is one of ${FORMS}`);
  if (!/^(\/\d*)?$/.test(parsed.pathname)) throw bad("has something other than the number of a database at its end");
  return { host: parsed.hostname.replace(/^\[|\]$/g, ""), port: parsed.port === "" ? port : Number(parsed.port) };
}

function bad(what: string): MillraceError {
  return new MillraceError("bad_redis_url", `The address of Redis ${what}.`);
}
