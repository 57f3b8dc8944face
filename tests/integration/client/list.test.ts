import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, createClient, type ListState } from "../../../gateway/client/index.ts";
import { countedClient } from "../../support/counted-client.ts";
import { openConnections, startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { openProxy } from "../../support/proxy.ts";
import { all, until } from "../../support/watched.ts";

const { workflows, gates, broken } = gatewayWorkflows();
let gateway: TestGateway;
let client: Client;
beforeAll(async () => {
  gateway = await startGateway({ workflows });
  client = createClient({ url: gateway.url });
});
afterAll(async () => {
  client.close();
  await gateway.close();
});

let tags = 0;
/** A tag of its own keeps a test's runs apart from those of the others. */
const newTag = () => {
  tags += 1;
  return `test-${tags}`;
};
const held = (tag: string) => client.start("held", {}, { tags: [tag] });
const ids = ({ runs }: ListState) => runs?.map(({ id }) => id);
const isLive = ({ runs, connection }: ListState) => runs !== undefined && connection === "live";
const shows =
  (...wanted: string[]) =>
  (state: ListState) =>
    ids(state)?.join() === wanted.join();

describe("a list", () => {
  test("has the runs of a filter in pages, the newest first", async () => {
    const tag = newTag();
    const [one, two, three] = [await held(tag), await held(tag), await held(tag)];
    const first = await client.list({ workflow: "held", tag, limit: 2 });
    expect(first.data.map(({ id }) => id)).toEqual([three.id, two.id]);
    const second = await client.list({ tag, limit: 2, cursor: first.next });
    expect(second).toEqual({
      data: [expect.objectContaining({ id: one.id, tags: [tag], status: expect.any(String) })],
    });
    expect(await client.list({ tag, status: "failed" })).toEqual({ data: [] });
    for (const { id } of [one, two, three]) gates.open(id);
  });

  test("that is asked for wrongly says so, and so does its store", async () => {
    await expect(client.list({ limit: 1_000 })).rejects.toMatchObject({ name: "ClientError", status: 422 });
    const store = client.listStore({ limit: 1_000 });
    (await until(store, ({ connection }) => connection === "ended"))();
    expect(store.getSnapshot()).toMatchObject({ runs: undefined, error: { status: 422 } });
  });
});

describe.each(["websocket", "sse"] as const)("a live list by %s", (transport) => {
  test.each(["held", undefined])("has runs that begin, change and end (workflow: %s)", async (workflow) => {
    const tag = newTag();
    const own = createClient({ url: gateway.url, transport });
    const [store, running] = [own.listStore({ workflow, tag }), own.listStore({ workflow, tag, status: "running" })];
    const leave = [await until(store, isLive), await until(running, isLive)];
    const others = new Set<string>();
    const look = () => {
      for (const { status } of running.getSnapshot().runs!) if (status !== "running") others.add(status);
    };
    leave.push(running.subscribe(look));
    expect([store, running].map((each) => each.getSnapshot().runs)).toEqual([[], []]);

    const one = await held(tag);
    leave.push(await until(running, shows(one.id)), await until(store, ({ runs }) => runs![0]?.status === "running"));
    const two = await held(tag);
    leave.push(await until(running, shows(two.id, one.id)), await until(store, shows(two.id, one.id)));

    gates.open(one.id);
    leave.push(await until(running, shows(two.id)));
    leave.push(await until(store, ({ runs }) => runs![1]!.status === "completed" && runs![1]!.endedAt !== undefined));
    await two.cancel();
    leave.push(await until(running, shows()), await until(store, ({ runs }) => runs![0]!.status === "cancelled"));

    for (const each of leave) each();
    expect(others).toEqual(new Set());
    await expect.poll(() => openConnections(gateway)).toBe(0);
  });

  test("says what a run failed with, and has a replayed one run again", async () => {
    const tag = newTag();
    broken.add(tag);
    const own = createClient({ url: gateway.url, transport });
    const { id } = await client.start("fragile", { name: tag }, { tags: [tag] });
    const store = own.listStore({ tag });
    const failed = await until(store, ({ runs }) => runs?.[0]?.status === "failed");
    expect(store.getSnapshot().runs).toMatchObject([{ id, error: { message: `${tag} is broken` } }]);
    broken.delete(tag);
    await gateway.call("POST", "/v1/dead-letters/replay", { workflow: "fragile" });
    const completed = await until(store, ({ runs }) => runs?.[0]?.status === "completed");
    expect(store.getSnapshot().runs![0]!.error).toBeUndefined();
    failed();
    completed();
  });

  test("knows what happened while its connection was lost", async () => {
    await using proxy = await openProxy(gateway.url);
    const tag = newTag();
    const own = createClient({ url: proxy.url, transport });
    const store = own.listStore({ tag, workflow: "held" });
    const leave = await until(store, isLive);
    const one = await held(tag);
    (await until(store, ({ runs }) => runs![0]?.status === "running"))();

    proxy.set("black-hole", "new");
    proxy.cut();
    (await until(store, ({ connection }) => connection === "connecting"))();
    gates.open(one.id);
    await one.result();
    const two = await held(tag);
    proxy.set("pass");
    proxy.cut();
    (await until(store, (state) => isLive(state) && state.runs!.at(-1)!.status === "completed"))();
    (await until(store, shows(two.id, one.id)))();
    gates.open(two.id);
    leave();
  });
});

test("a live list outlives its gateway", async () => {
  const tag = newTag();
  const store = client.listStore({ tag });
  const leave = await until(store, isLive);
  const one = await held(tag);
  (await until(store, shows(one.id)))();
  const lost = until(store, ({ connection }) => connection === "connecting");
  await gateway.restart();
  (await lost)();
  (await until(store, isLive))();
  const two = await held(tag);
  (await until(store, shows(two.id, one.id)))();
  for (const { id } of [one, two]) gates.open(id);
  leave();
});

test("a live list has no more rows than its page, however many runs there are, and a later page no new ones", async () => {
  const tag = newTag();
  const { client: own, requests } = countedClient({ url: gateway.url });
  const first = await held(tag);
  const store = own.listStore({ tag, limit: 3 });
  const leave = await until(store, isLive);
  const before = performance.now();
  const runs = await Promise.all(Array.from({ length: 40 }, () => held(tag)));
  (await until(store, ({ runs, next }) => runs!.length === 3 && next !== undefined))();
  const later = own.listStore({ tag, limit: 100, cursor: store.getSnapshot().next! });
  const leaveLater = await until(later, isLive);
  for (const { id } of [first, ...runs]) gates.open(id);
  await Promise.all([first, ...runs].map((run) => run.result()));
  (await until(later, ({ runs }) => runs!.every(({ status }) => status === "completed")))();
  expect(ids(later.getSnapshot())).toContain(first.id);
  expect(later.getSnapshot().runs!.length).toBeLessThan(41);
  const seconds = (performance.now() - before) / 1_000;
  expect(requests.length).toBeLessThan(2 * seconds + 6);
  leave();
  leaveLater();
});

test("lists and watches of a client share one socket, and those of one workflow one subscription", async () => {
  const tag = newTag();
  const { client: own, subscribed, sockets } = countedClient({ url: gateway.url });
  const stores = [own.listStore({ tag, workflow: "held" }), own.listStore({ status: "running", workflow: "held" })];
  const leave = await Promise.all(stores.map((store) => until(store, isLive)));
  const run = await held(tag);
  const watched = all(own.run(run.id).watch());
  leave.push(await until(stores[0]!, shows(run.id)));
  gates.open(run.id);
  const seen = await watched;
  expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, i) => i + 1));
  leave.push(await until(stores[0]!, ({ runs }) => runs![0]!.status === "completed"));
  expect(sockets()).toBe(1);
  expect(subscribed).toEqual([{ workflow: "held" }, { run: run.id }]);
  for (const each of leave) each();
});

test("a live list ends with its client, and shows what it knew", async () => {
  const own = createClient({ url: gateway.url });
  const store = own.listStore({ workflow: "greet" });
  const leave = await until(store, isLive);
  own.close();
  (await until(store, ({ connection }) => connection === "ended"))();
  expect(store.getSnapshot()).toMatchObject({ runs: expect.any(Array), error: undefined });
  leave();
});
