import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Scope } from "../../../engine/index.ts";
import { type Client, createClient, type Message, type TicketFor } from "../../../gateway/client/index.ts";
import { openConnections, startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { all, until } from "../../support/watched.ts";

const { workflows, gates } = gatewayWorkflows();
let gateway: TestGateway;
let acme: Client;
let key: string;
let other: Client;
let admin: string;
beforeAll(async () => {
  gateway = await startGateway({ workflows, keys: true });
  const create = async (tenant: string, scopes: Scope[] = ["runs:read", "runs:write"]) =>
    (await gateway.millrace.access.keys.create({ tenant, name: "test", scopes })).secret;
  admin = await create("acme", ["admin"]);
  key = await create("acme");
  acme = createClient({ url: gateway.url, key });
  other = createClient({ url: gateway.url, key: await create("other") });
});
afterAll(async () => {
  acme.close();
  other.close();
  await gateway.close();
});

const openSockets = () => openConnections(gateway, { Authorization: `Bearer ${admin}` });
/** A client of a page that has no key, and what it has asked its server for. */
function pageOf(transport: "websocket" | "sse" = "websocket") {
  const asked: TicketFor[] = [];
  const page = createClient({
    ...{ url: gateway.url, transport },
    async ticket(of) {
      asked.push(of);
      return (await gateway.call("POST", "/v1/tickets", of, { Authorization: `Bearer ${key}` })).body.ticket;
    },
  });
  return { page, asked };
}

const isWhole = (seen: Message[]) => seen.every(({ seq }, i) => seq === i + 1) && seen.at(-1)?.type === "run.completed";

test.each(["websocket", "sse"] as const)(
  "with a key, watches that begin one after the other share a connection (%s)",
  async (transport) => {
    const own = createClient({ url: gateway.url, key, transport });
    const watches: Promise<Message[]>[] = [];
    const runs: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      const { id } = await acme.start("held", {});
      runs.push(id);
      const watch = own.run(id).watch();
      while ((await watch.next()).value?.type !== "step.output");
      watches.push(all(watch));
    }
    await expect.poll(openSockets).toBe(1);
    for (const id of runs) gates.open(id);
    for (const rest of await Promise.all(watches)) expect(rest.at(-1)?.type).toBe("run.completed");
    await expect.poll(openSockets).toBe(0);
  },
);

test("a page asks its server for tickets, for just what it watches", async () => {
  const { page, asked } = pageOf();
  const runs = await Promise.all([1, 2, 3].map(() => acme.start("held", {})));
  const watches = runs.map(({ id }) => all(page.run(id).watch()));
  for (const { id } of runs) gates.open(id);
  for (const seen of await Promise.all(watches)) expect(isWhole(seen)).toBe(true);
  expect(asked).toEqual([{ runs: runs.map(({ id }) => id) }]);

  const store = page.run(runs[0]!.id).store();
  await new Promise<void>((resolve) => {
    const unsubscribe = store.subscribe(() => {
      if (store.getSnapshot().connection !== "ended") return;
      unsubscribe();
      resolve();
    });
  });
  expect(store.getSnapshot()).toMatchObject({ error: undefined, run: { status: "completed", output: "done" } });
});

test("a ticket reads one of the runs that it is for, once", async () => {
  const [run, another] = await Promise.all([1, 2].map(() => acme.start("greet", { name: "Ada" })));
  const ticket = async (body: object): Promise<string> =>
    (await gateway.call("POST", "/v1/tickets", body, { Authorization: `Bearer ${key}` })).body.ticket;
  const read = (id: string, of: string) => gateway.call("GET", `/v1/runs/${id}?ticket=${of}`);
  const forRun = await ticket({ runs: [run!.id] });
  expect(await read(run!.id, forRun)).toMatchObject({ status: 200, body: { id: run!.id } });
  expect(await read(run!.id, forRun)).toMatchObject({ status: 401 });
  expect(await read(another!.id, await ticket({ runs: [run!.id] }))).toMatchObject({ status: 404 });
  expect(await read(another!.id, await ticket({ workflows: ["greet"] }))).toMatchObject({ status: 200 });
});

test("another tenant's run is refused, and one's own beside it is watched all the same", async () => {
  const [mine, theirs] = await Promise.all([acme.start("held", {}), other.start("held", {})]);
  const watched = all(acme.run(mine.id).watch());
  const refused = all(acme.run(theirs.id).watch());
  await expect(refused).rejects.toMatchObject({ name: "ClientError", status: 404 });
  gates.open(mine.id);
  gates.open(theirs.id);
  expect(isWhole(await watched)).toBe(true);
});

test("one run that there is not, among many, is found out, and the others are watched", async () => {
  const own = createClient({ url: gateway.url, key });
  const runs = await Promise.all(Array.from({ length: 9 }, () => acme.start("held", {})));
  const watches = runs.map(({ id }) => all(own.run(id).watch()));
  await expect(all(own.run("nothing").watch())).rejects.toMatchObject({ status: 404 });
  for (const { id } of runs) gates.open(id);
  for (const seen of await Promise.all(watches)) expect(isWhole(seen)).toBe(true);
});

test("a page that gets no tickets is told so in the end, by the error of who gives them", async () => {
  const { id } = await acme.start("greet", { name: "Ada" });
  let asked = 0;
  const page = createClient({
    url: gateway.url,
    ticket: async () => {
      asked += 1;
      throw new Error("signed out");
    },
  });
  await expect(all(page.run(id).watch())).rejects.toThrow("signed out");
  expect(asked).toBe(5);
});

test("a key that is not known is refused, to who asks and to who watches", async () => {
  const { id } = await acme.start("greet", { name: "Ada" });
  const nobody = createClient({ url: gateway.url, key: "mr_0_0" });
  await expect(nobody.run(id).get()).rejects.toMatchObject({ status: 401 });
  await expect(all(nobody.run(id).watch())).rejects.toMatchObject({ status: 401 });
});

describe.each(["websocket", "sse"] as const)("by %s, a list", (transport) => {
  test("of a page is of one workflow, whose runs its tickets are for", async () => {
    const { page, asked } = pageOf(transport);
    await acme.start("greet", { name: "Ada" });
    const held = await acme.start("held", {});
    const { data } = await page.list({ workflow: "held", limit: 1 });
    expect(data).toEqual([expect.objectContaining({ id: held.id, workflow: "held" })]);
    expect(asked).toEqual([{ workflows: ["held"] }]);
    await expect(page.list()).rejects.toThrow("say which");
    expect(() => page.listStore({ tag: "a" })).toThrow(TypeError);

    const store = page.listStore({ workflow: "held", status: "running" });
    const watched = all(page.run(held.id).watch());
    const leave = await until(store, ({ runs }) => runs?.some(({ id }) => id === held.id) === true);
    gates.open(held.id);
    leave();
    (await until(store, ({ runs }) => runs?.length === 0))();
    expect(isWhole(await watched)).toBe(true);
    for (const of of asked) expect([{ workflows: ["held"] }, { runs: [held.id] }]).toContainEqual(of);
  });

  test("is of all of the tenant with a key, and of no other's", async () => {
    const own = createClient({ url: gateway.url, key, transport });
    const store = own.listStore({ status: "running" });
    const leave = await until(store, ({ runs, connection }) => runs !== undefined && connection === "live");
    const [mine, theirs] = await Promise.all([acme.start("held", {}), other.start("held", {})]);
    const leaveToo = await until(store, ({ runs }) => runs!.length > 0);
    expect(store.getSnapshot().runs!.map(({ id }) => id)).toEqual([mine.id]);
    for (const { id } of [mine, theirs]) gates.open(id);
    leave();
    leaveToo();
    await expect.poll(openSockets).toBe(0);
  });
});
