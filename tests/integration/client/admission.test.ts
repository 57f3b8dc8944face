import { afterAll, beforeAll, expect, test } from "vitest";
import type { Scope } from "../../../engine/index.ts";
import { type Client, createClient, type Message } from "../../../gateway/client/index.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { all } from "../../support/watched.ts";

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
  const asked: (readonly string[])[] = [];
  const page = createClient({
    url: gateway.url,
    async ticket(runs) {
      asked.push(runs);
      return (await gateway.call("POST", "/v1/tickets", { runs }, { Authorization: `Bearer ${key}` })).body.ticket;
    },
  });
  const runs = await Promise.all([1, 2, 3].map(() => acme.start("held", {})));
  const watches = runs.map(({ id }) => all(page.run(id).watch()));
  for (const { id } of runs) gates.open(id);
  for (const seen of await Promise.all(watches)) expect(isWhole(seen)).toBe(true);
  expect(asked).toEqual([runs.map(({ id }) => id)]);

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

/** Sockets and streams that the gateway has open. */
async function openSockets(): Promise<number> {
  const { body } = await gateway.call("GET", "/metrics", undefined, { Authorization: `Bearer ${admin}` });
  const open = [...(body as string).matchAll(/^millrace_open_(?:sockets|event_streams) (\d+)$/gm)];
  return open.reduce((all, [, count]) => all + Number(count), 0);
}
