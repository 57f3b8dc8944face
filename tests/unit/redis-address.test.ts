import { describe, expect, test } from "vitest";
import { parseRedisUrl } from "../../engine/redis/address.ts";

describe("the address of Redis", () => {
  test.each([
    ["redis://localhost", ["localhost:6379"], undefined],
    ["rediss://ann:s%40cret@redis.example:6380/2?family=6", ["redis.example:6380"], undefined],
    ["redis://[::1]:7000", ["::1:7000"], undefined],
    ["redis://:a@b:c@h1,h2:7001/3", ["h1:6379", "h2:7001"], undefined],
    ["redis+sentinel://h1,h2:7001/main", ["h1:26379", "h2:7001"], "main"],
    ["redis+sentinel://ann:secret@h1/ma%20in/4", ["h1:26379"], "ma in"],
  ])("%s", (url, seeds, sentinelName) => {
    const address = parseRedisUrl(url);
    expect(address.seeds.map(({ host, port }) => `${host}:${port}`)).toEqual(seeds);
    expect(address.sentinelName).toBe(sentinelName);
  });

  test("has one user, password and database for all servers", () => {
    expect(parseRedisUrl("rediss://ann:secret@h1:1,h2:2/3").urls).toEqual([
      "rediss://ann:secret@h1:1/3",
      "rediss://ann:secret@h2:2/3",
    ]);
    expect(parseRedisUrl("redis+sentinel://ann:secret@h1:1,h2:2/main/3").urls).toEqual([
      "redis://ann:secret@h1:1/3",
      "redis://ann:secret@h2:2/3",
    ]);
  });

  test.each([
    ["localhost:6379", "is none of redis://"],
    ["http://ann:secret@host", "is none of redis://"],
    ["redis://", "a server without a host"],
    ["redis://:secret@h1,,h2", "no HOST:PORT"],
    ["redis://:secret@h1:port", "no HOST:PORT"],
    ["redis://:secret@h1/main", "the number of a database"],
    ["redis+sentinel://:secret@h1", "names the primary"],
    ["redis+sentinel://:secret@h1/main/0/1", "names the primary"],
    ["redis+sentinel://:secret@h1/main/other", "the number of a database"],
    ["rediss+sentinel://:secret@h1/main", "no TLS with sentinels"],
  ])("is not %s: it %s", (url, message) => {
    expect(() => parseRedisUrl(url)).toThrow(message);
    expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ code: "bad_redis_url" }));
    expect(() => parseRedisUrl(url)).toThrow(/^(?!.*secret)/);
  });
});
