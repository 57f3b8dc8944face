import { expect, test } from "vitest";
import { openProxy, type TcpProxy } from "../../support/proxy.ts";
import { rawRedis, redisUrl } from "../../support/redis.ts";

/** A client over a proxy that is connected. */
async function through(proxy: TcpProxy) {
  const client = rawRedis(proxy.url);
  await client.ping();
  return client;
}

test("bytes pass, late or one by one", async () => {
  await using proxy = await openProxy();
  const client = await through(proxy);
  const text = "x".repeat(3_000);
  expect(await client.echo(text)).toBe(text);
  proxy.set("dribble");
  expect(await client.echo(text)).toBe(text);
  proxy.set({ delayMs: 50 });
  const from = performance.now();
  expect(await client.echo(text)).toBe(text);
  expect(performance.now() - from).toBeGreaterThan(95);
  expect([proxy.connections, proxy.open, proxy.lost]).toEqual([1, 1, 0]);
  expect([proxy.carrying("ECHO"), proxy.carrying("GET")]).toEqual([1, 0]);
});

test("replies are lost, and what was asked for is done", async () => {
  await using proxy = await openProxy();
  const key = `dropped-${proxy.port}`;
  const direct = rawRedis();
  const client = await through(proxy);
  proxy.set("drop-replies");
  const incrementing = client.incr(key).catch(() => "lost");
  await proxy.until(({ lost }) => lost > 0);
  expect(await direct.getdel(key)).toBe("1");
  expect(proxy.cut()).toBe(1);
  expect(await incrementing).toBe("lost");
});

test("a black hole swallows both ways, over what is there or over what comes", async () => {
  await using proxy = await openProxy();
  const client = await through(proxy);
  proxy.set("black-hole", "new");
  expect(await client.echo("a")).toBe("a");
  const other = rawRedis(proxy.url);
  const lost = other.ping().catch(() => "lost");
  await proxy.until((each) => each.lost > 0);
  proxy.set("black-hole", "existing");
  const silent = client.echo("b").catch(() => "lost");
  await proxy.until((each) => each.lost > 1);
  proxy.cut();
  expect(await Promise.all([lost, silent])).toEqual(["lost", "lost"]);
});

test("a connection is cut once nothing has passed for a while, and no other", async () => {
  await using proxy = await openProxy();
  const client = await through(proxy);
  const busy = await through(proxy);
  proxy.cutAfterSilence(1_000);
  const talking = setInterval(() => busy.ping().catch(() => {}), 50);
  await proxy.until(({ open }) => open === 1);
  clearInterval(talking);
  expect(proxy.silenced).toBe(1);
  await expect(client.ping()).rejects.toThrow();
  expect(await busy.ping()).toBe("PONG");
});

test("a proxy's address is the server's own, with another port", async () => {
  await using proxy = await openProxy(redisUrl.replace("//", "//user:secret@"));
  expect(proxy.url).toBe(`redis://user:secret@127.0.0.1:${proxy.port}`);
});
