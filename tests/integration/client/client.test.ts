import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { type Client, ClientError, createClient, type Message, RunError } from "../../../gateway/client/index.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { openProxy } from "../../support/proxy.ts";
import { all } from "../../support/watched.ts";

const { workflows, gates, broken } = gatewayWorkflows();
const sum = workflow("sum", { input: v.object({ numbers: v.array(v.number()) }) })
  .step("add", ({ numbers }, ctx) => {
    ctx.emit("adding");
    return { total: numbers.reduce((all, each) => all + each, 0) };
  })
  .step("tell", ({ total }) => `It is ${total}.`);
const approval = workflow("approval", { input: v.object({}) })
  .waitFor("approve", { schema: v.object({ by: v.string() }), timeoutMs: 86_400_000 })
  .step("end", (signal) => (signal.timedOut ? "nobody" : signal.data.by));
const chatty = workflow("chatty", { input: v.object({ times: v.number() }) }).step("talk", async ({ times }, ctx) => {
  for (let n = 0; n < times; n += 1) {
    ctx.emit({ n });
    if (n % 50 === 49) await ctx.heartbeat();
  }
});

let gateway: TestGateway;
let client: Client;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [sum, approval, chatty, ...workflows] });
  client = createClient({ url: gateway.url });
});
afterAll(async () => {
  client.close();
  await gateway.close();
});

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error) => error,
  );

describe("a run", () => {
  test("is started, watched to its end, and what it came to is had, typed by its definition", async () => {
    const run = await client.start<typeof sum>("sum", { numbers: [1, 2] });
    const seen: string[] = [];
    for await (const event of run.watch()) seen.push(`${event.seq} ${event.type}`);
    expect(seen).toContain("1 run.queued");
    expect(seen.at(-1)).toMatch(/^\d+ run\.completed$/);
    const output = await run.result();
    expectTypeOf(output).toEqualTypeOf<string>();
    expect(output).toBe("It is 3.");
    const { steps, input } = await client.run<typeof sum>(run.id).get();
    expectTypeOf(steps.add.output).toEqualTypeOf<{ total: number } | undefined>();
    expectTypeOf(input).toEqualTypeOf<{ numbers: number[] } | undefined>();
    expect(steps.add.output).toEqual({ total: 3 });
    // @ts-expect-error there is no such step
    expect(steps.missing).toBeUndefined();
    // @ts-expect-error that is not what it takes
    expect(await failure(client.start<typeof sum>("sum", { numbers: "1" }))).toMatchObject({
      name: "ClientError",
      status: 422,
      code: "invalid-input",
      problem: { errors: [{ path: ["numbers"] }] },
    });
  });

  test("is one for its key", async () => {
    const options = { idempotencyKey: "the same" };
    const [one, two] = await Promise.all([1, 2].map(() => client.start("sum", { numbers: [] }, options)));
    expect(one!.id).toBe(two!.id);
  });

  test("that fails says why", async () => {
    broken.add("glass");
    const run = await client.start("fragile", { name: "glass" });
    const error = (await failure(run.result())) as RunError;
    expect(error).toBeInstanceOf(RunError);
    expect(error).toMatchObject({ run: run.id, status: "failed", message: "glass is broken" });
  });

  test("is cancelled", async () => {
    const run = await client.start("held", {});
    await run.cancel();
    expect(await failure(run.result())).toMatchObject({ name: "RunError", status: "cancelled" });
  });

  test("is sent what it waits for", async () => {
    const run = await client.start<typeof approval>("approval", {});
    await run.signal("approve", { by: "ann" });
    expect(await run.result()).toBe("ann");
  });

  test("that there is not is said so, to who asks and to who watches, and harms no other watch", async () => {
    const there = await client.start("held", {});
    const watched = all(there.watch());
    expect(await failure(client.run("nothing").get())).toMatchObject({ status: 404 });
    expect(await failure(all(client.run("nothing").watch()))).toBeInstanceOf(ClientError);
    gates.open(there.id);
    expect((await watched).at(-1)!.type).toBe("run.completed");
  });
});

describe("a watch", () => {
  test("goes on after what was seen, and ends at once where nothing is left", async () => {
    const run = await client.start("sum", { numbers: [] });
    const seen = await all(run.watch());
    const third = seen[2]! as Message & { cursor: string };
    expect(await all(run.watch({ after: third.cursor }))).toEqual(seen.slice(3));
    expect(await all(run.watch({ after: 3 }))).toEqual(seen.slice(3));
    expect(await all(run.watch({ after: seen.length }))).toEqual([]);
  });

  test("that begins later than another of the same run is told all the same", async () => {
    const run = await client.start("held", {});
    const first = run.watch();
    while ((await first.next()).value?.type !== "step.output");
    const second = all(run.watch());
    gates.open(run.id);
    const rest = await all(first);
    const whole = await second;
    expect(whole.map(({ seq }) => seq)).toEqual(whole.map((_, i) => i + 1));
    expect(whole.slice(-rest.length)).toEqual(rest);
  });

  test("that is not read is let go of, and misses nothing", async () => {
    const run = await client.start("chatty", { times: 2_500 });
    const watch = run.watch();
    await watch.next();
    await run.result();
    const rest = await all(watch);
    expect(rest.map(({ seq }) => seq)).toEqual(rest.map((_, i) => i + 2));
    expect(rest.length).toBeGreaterThan(2_500);
  });

  test("of what is no run, or after what is no place in one, is refused where it is asked for", async () => {
    expect(() => client.run("")).toThrow(TypeError);
    expect(() => client.run("a b")).toThrow(TypeError);
    const run = await client.start("greet", { name: "Ada" });
    expect(await failure(all(run.watch({ after: "abc" })))).toBeInstanceOf(TypeError);
  });

  test("ends when its client is closed, and no other begins", async () => {
    const own = createClient({ url: gateway.url });
    const run = await own.start("held", {});
    const result = failure(run.result());
    const watch = run.watch();
    await watch.next();
    own.close();
    expect(await result).toMatchObject({ message: "The client was closed before the run has ended." });
    expect(await all(watch)).toEqual(expect.any(Array));
    expect(await all(run.watch())).toEqual([]);
    gates.open(run.id);
  });

  test("ends with its signal's reason, and lets go of its connection", async () => {
    await using proxy = await openProxy(gateway.url);
    const own = createClient({ url: proxy.url, transport: "websocket" });
    const run = await client.start("held", {});
    const controller = new AbortController();
    const watched = failure(all(own.run(run.id).watch({ signal: controller.signal })));
    await proxy.until(({ open }) => open === 1);
    controller.abort(new Error("enough"));
    expect(await watched).toMatchObject({ message: "enough" });
    await proxy.until(({ open }) => open === 0);
    gates.open(run.id);
  });

  test("shares one socket with the others", async () => {
    await using proxy = await openProxy(gateway.url);
    const own = createClient({ url: proxy.url, transport: "websocket" });
    const runs = await Promise.all(Array.from({ length: 20 }, () => client.start("held", {})));
    const early = runs.slice(0, 10).map(({ id }) => all(own.run(id).watch()));
    await proxy.until(({ open }) => open === 1);
    const late = runs.slice(10).map(({ id }) => all(own.run(id).watch()));
    for (const { id } of runs) gates.open(id);
    for (const seen of await Promise.all([...early, ...late])) expect(seen.at(-1)!.type).toBe("run.completed");
    expect(proxy.connections).toBe(1);
  });

  test("goes by event streams where sockets do not get through", async () => {
    class Blocked extends EventTarget {
      onclose = () => {};
      constructor() {
        super();
        queueMicrotask(() => this.onclose());
      }
      close() {}
    }
    const own = createClient({ url: gateway.url, WebSocket: Blocked as unknown as typeof WebSocket });
    const run = await own.start("sum", { numbers: [] });
    expect((await all(run.watch())).at(-1)!.type).toBe("run.completed");
  });
});

describe("a store", () => {
  test("shows the run as it goes, and what it came to", async () => {
    const run = await client.start("held", {});
    const store = run.store();
    expect(store.getSnapshot()).toMatchObject({ run: undefined, connection: "connecting" });
    const states: ReturnType<typeof store.getSnapshot>[] = [];
    const ended = new Promise<void>((resolve) => {
      const unsubscribe = store.subscribe(() => {
        const state = store.getSnapshot();
        expect(state).not.toBe(states.at(-1));
        states.push(state);
        if (state.emitted.wait?.length === 1) gates.open(run.id);
        if (state.connection !== "ended") return;
        unsubscribe();
        resolve();
      });
    });
    await ended;
    const last = states.at(-1)!;
    expect(last).toMatchObject({
      ...{ connection: "ended", error: undefined, emitted: { wait: [{ at: "before" }, { at: "after" }] } },
      run: {
        status: "completed",
        output: "done",
        steps: { wait: { status: "completed" }, done: { status: "completed" } },
      },
    });
    expect(states.some(({ connection }) => connection === "live")).toBe(true);
    expect(states.some(({ run: at }) => at?.steps.wait?.status === "running")).toBe(true);
  });

  test("that joins a connection which is open is live, and tells who comes back what was emitted once", async () => {
    const [first, second] = await Promise.all([1, 2].map(() => client.start("held", {})));
    const [one, two] = [first!.store(), second!.store()];
    const until = (store: typeof one, met: (state: ReturnType<typeof one.getSnapshot>) => boolean) =>
      new Promise<() => void>((resolve) => {
        const unsubscribe = store.subscribe(() => met(store.getSnapshot()) && resolve(unsubscribe));
      });
    const leaveOne = await until(one, ({ connection }) => connection === "live");
    const isTold = ({ connection, emitted }: ReturnType<typeof one.getSnapshot>) =>
      connection === "live" && emitted.wait !== undefined;
    (await until(two, isTold))();
    const leaveTwo = await until(two, isTold);
    expect(two.getSnapshot().emitted).toEqual({ wait: [{ at: "before" }] });
    leaveOne();
    leaveTwo();
    for (const run of [first!, second!]) gates.open(run.id);
  });

  test("is let go of by who leaves as soon as something is known", async () => {
    await using proxy = await openProxy(gateway.url);
    const own = createClient({ url: proxy.url, transport: "websocket" });
    const run = await client.start("held", {});
    const store = own.run(run.id).store();
    await new Promise<void>((resolve) => {
      const unsubscribe = store.subscribe(() => {
        if (store.getSnapshot().run === undefined) return;
        unsubscribe();
        resolve();
      });
    });
    gates.open(run.id);
    await run.result();
    expect(store.getSnapshot()).toMatchObject({ connection: "connecting", run: { id: run.id } });
  });

  test("says why it cannot", async () => {
    const store = client.run("nothing").store();
    await new Promise<void>((resolve) => {
      store.subscribe(() => store.getSnapshot().connection === "ended" && resolve());
    });
    expect(store.getSnapshot().error).toMatchObject({ status: 404 });
  });
});
