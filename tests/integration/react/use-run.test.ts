import "../../support/page.ts";
import { act, cleanup, render, screen } from "@testing-library/react";
import { createElement as h, type ReactNode, StrictMode, useEffect } from "react";
import * as v from "valibot";
import { afterAll, afterEach, beforeAll, expect, expectTypeOf, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import type { Client } from "../../../gateway/client/index.ts";
import { MillraceProvider, useClient, useRun } from "../../../gateway/client/react/index.ts";
import { countedClient } from "../../support/counted-client.ts";
import { Gates } from "../../support/gates.ts";
import { openConnections, startGateway, type TestGateway } from "../../support/gateway.ts";

const gates = new Gates();
const story = workflow("story", { input: v.object({ title: v.string() }) }).step("write", async ({ title }, ctx) => {
  ctx.emit({ line: `${title}!` });
  ctx.progress(0.5);
  await gates.pass(`${ctx.run.id} 1`, ctx.signal);
  if (title === "Bad") throw new Error("nothing comes to mind");
  return { words: title.length };
});

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [story] });
});
afterEach(cleanup);
afterAll(() => gateway.close());

/** What a component showed, each time that it was another. */
let shown: string[] = [];
let renders = 0;

function Story({ client, id }: { client: Client; id: string | undefined }): ReactNode {
  const { run, emitted, connection, error } = useRun<typeof story>(client, id);
  expectTypeOf(run?.output).toEqualTypeOf<{ words: number } | undefined>();
  expectTypeOf(emitted).toEqualTypeOf<{ readonly write?: readonly unknown[] }>();
  const step = run?.steps.write;
  const lines = (emitted.write ?? []).map((each) => (each as { line: string }).line);
  const text = [id, connection, run?.status, step?.status, step?.progress, ...lines, run?.output?.words, error];
  const line = text.filter((each) => each !== undefined).join(" ");
  useEffect(() => {
    if (shown.at(-1) !== line) shown.push(line);
  }, [line]);
  renders += 1;
  return h("p", null, line);
}

async function began(title = "Ada", page = countedClient({ url: gateway.url })) {
  shown = [];
  renders = 0;
  const run = await page.client.start<typeof story>("story", { title });
  page.requests.length = 0;
  return { ...page, run, id: run.id, end: () => gates.open(`${run.id} 1`) };
}

const nothingOpen = async () => {
  await expect.poll(() => openConnections(gateway)).toBe(0);
  await expect.poll(() => gateway.watched()).toEqual([]);
};

test("a component shows a run as it goes, to its end", async () => {
  const { client, id, end } = await began();
  render(h(Story, { client, id }));
  expect(screen.getByText(`${id} connecting`)).toBeDefined();
  await screen.findByText(`${id} live running running 0.5 Ada!`);
  await act(async () => end());
  await screen.findByText(`${id} ended completed completed 0.5 Ada! 3`);
  expect(shown[0]).toBe(`${id} connecting`);
  expect(shown.some((each) => each.includes(" live running"))).toBe(true);
  await nothingOpen();
});

test("and why it failed, or cannot be shown", async () => {
  const { client, run, id } = await began();
  const { rerender } = render(h(Story, { client, id }));
  await screen.findByText(/ live running/);
  await run.cancel();
  await screen.findByText(/ ended cancelled/);
  rerender(h(Story, { client, id: "nothing" }));
  await screen.findByText('nothing ended ClientError: There is no run "nothing".');
  rerender(h(Story, { client, id: "no id" }));
  await screen.findByText(/^no id ended TypeError: The id of a run/);
});

test("in StrictMode it is read, watched and let go of once", async () => {
  const { client, id, end, requests, subscribed, sockets } = await began();
  const { unmount } = render(h(StrictMode, null, h(Story, { client, id })));
  await screen.findByText(/ live running running 0.5 Ada!$/);
  expect([requests, subscribed, sockets()]).toEqual([[`GET /v1/runs/${id}`], [{ run: id }], 1]);
  unmount();
  await nothingOpen();
  end();
});

test("two components show one run with one watch, which ends with the last of them", async () => {
  const { client, id, end, requests, subscribed } = await began();
  const both = (...keys: string[]) =>
    h(
      "main",
      null,
      keys.map((key) => h(Story, { key, client, id })),
    );
  const { rerender, unmount } = render(both("a", "b"));
  await screen.findAllByText(/ live running running 0.5 Ada!$/);
  rerender(both("b", "c", "d"));
  expect(screen.getAllByText(/ live running running 0.5 Ada!$/)).toHaveLength(3);
  rerender(both("e"));
  expect(screen.getAllByText(/ live running running 0.5 Ada!$/)).toHaveLength(1);
  expect([requests, subscribed]).toEqual([[`GET /v1/runs/${id}`], [{ run: id }]]);
  expect(await openConnections(gateway)).toBe(1);
  unmount();
  await nothingOpen();
  end();
});

test("without an id nothing is asked for, and another one is another run", async () => {
  const page = countedClient({ url: gateway.url });
  const [one, two] = [await began("One", page), await began("Three", page)];
  const { client, requests, subscribed, sockets } = page;
  const { rerender, unmount } = render(h(Story, { client, id: undefined }));
  await screen.findByText("idle");
  expect([requests, sockets(), await openConnections(gateway)]).toEqual([[], 0, 0]);
  rerender(h(Story, { client, id: one.id }));
  await screen.findByText(`${one.id} live running running 0.5 One!`);
  rerender(h(Story, { client, id: two.id }));
  expect(screen.getByText(`${two.id} connecting`)).toBeDefined();
  await screen.findByText(`${two.id} live running running 0.5 Three!`);
  expect(subscribed).toEqual([{ run: one.id }, { run: two.id }]);
  await expect.poll(() => gateway.watched()).toEqual([expect.stringContaining(two.id)]);
  rerender(h(Story, { client, id: undefined }));
  await nothingOpen();
  unmount();
  one.end();
  two.end();
});

test("a component that is drawn anew for another reason asks for nothing, and draws no loops", async () => {
  const { client, id, end, requests, subscribed } = await began();
  const { rerender, unmount } = render(h(Story, { client, id }));
  await screen.findByText(/ live running running 0.5 Ada!$/);
  const before = renders;
  for (let n = 0; n < 10; n += 1) rerender(h(Story, { client, id }));
  expect(renders).toBe(before + 10);
  expect(before).toBeLessThan(20);
  expect([requests, subscribed]).toEqual([[`GET /v1/runs/${id}`], [{ run: id }]]);
  unmount();
  end();
});

test("a run that ends while its gateway is restarted is shown to its end", async () => {
  const { client, id, end } = await began();
  render(h(Story, { client, id }));
  await screen.findByText(/ live running running 0.5 Ada!$/);
  const restarted = gateway.restart();
  await screen.findByText(/ connecting running/);
  await restarted;
  end();
  await screen.findByText(`${id} ended completed completed 0.5 Ada! 3`);
});

test("a client is taken from the provider around, and missed where there is none", async () => {
  const { client, id, end } = await began();
  const Own = () => h(Story, { client: useClient(), id });
  render(h(MillraceProvider, { client }, h(Own)));
  await screen.findByText(/ live running running 0.5 Ada!$/);
  end();
  await screen.findByText(/ ended completed/);
  const { error } = console;
  console.error = () => {};
  try {
    expect(() => render(h(Own))).toThrow("put a MillraceProvider around");
  } finally {
    console.error = error;
  }
});
