import "../../support/page.ts";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { createElement as h, type ReactNode, StrictMode } from "react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Client, RunFilter } from "../../../gateway/client/index.ts";
import { useRuns } from "../../../gateway/client/react/index.ts";
import { countedClient } from "../../support/counted-client.ts";
import { openConnections, startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";

const { workflows, gates } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows });
});
afterEach(cleanup);
afterAll(() => gateway.close());

let renders = 0;

function Runs({ client, ...filter }: { client: Client } & RunFilter): ReactNode {
  // Another object at each render.
  const { runs, connection, error } = useRuns(client, { ...filter });
  renders += 1;
  const lines = runs?.map(({ id, status }) => `${id} ${status}`) ?? ["nothing yet"];
  return h("p", null, [connection, ...lines, error].filter(Boolean).join(", "));
}

const held = (client: Client, tag: string) => client.start("held", {}, { tags: [tag] });
const nothingOpen = () => expect.poll(() => openConnections(gateway)).toBe(0);

test("a list shows a run that begins, changes and leaves its filter", async () => {
  const page = countedClient({ url: gateway.url });
  const { client } = page;
  const { unmount } = render(
    h("main", null, [
      h(Runs, { key: "all", client, workflow: "held", tag: "one" }),
      h(Runs, { key: "running", client, workflow: "held", tag: "one", status: "running" }),
    ]),
  );
  expect(screen.getAllByText("connecting, nothing yet")).toHaveLength(2);
  await waitFor(() => expect(screen.getAllByText("live")).toHaveLength(2));
  const { id } = await held(client, "one");
  await waitFor(() => expect(screen.getAllByText(`live, ${id} running`)).toHaveLength(2));
  gates.open(id);
  await screen.findByText(`live, ${id} completed`);
  await screen.findByText("live");
  expect([page.sockets(), page.subscribed]).toEqual([1, [{ workflow: "held" }]]);
  unmount();
  await nothingOpen();
});

test("a filter that is given inline is watched once, in StrictMode too, and another one is another list", async () => {
  const page = countedClient({ url: gateway.url });
  const { client } = page;
  const [one, two] = [await held(client, "two"), await held(client, "three")];
  page.requests.length = 0;
  const shown = (filter: RunFilter) => h(StrictMode, null, h(Runs, { client, ...filter }));
  const { rerender, unmount } = render(shown({ tag: "two" }));
  await screen.findByText(`live, ${one.id} running`);
  const before = renders;
  for (let n = 0; n < 5; n += 1) rerender(shown({ tag: "two" }));
  expect(renders).toBe(before + 10);
  expect([page.requests, page.subscribed]).toEqual([["GET /v1/runs"], [{ all: true }]]);
  rerender(shown({ tag: "three" }));
  await screen.findByText(`live, ${two.id} running`);
  expect(page.requests).toHaveLength(2);
  rerender(shown({ tag: "three", limit: 1_000 }));
  await screen.findByText(/^ended, nothing yet, ClientError: /);
  unmount();
  await nothingOpen();
  for (const { id } of [one, two]) gates.open(id);
});

test("without a filter nothing is asked for", async () => {
  const { client, requests, sockets } = countedClient({ url: gateway.url });
  const None = () => h("p", null, useRuns(client, undefined).connection);
  render(h(None));
  await screen.findByText("idle");
  expect([requests, sockets(), await openConnections(gateway)]).toEqual([[], 0, 0]);
});

test("a list whose gateway is restarted goes on", async () => {
  const { client } = countedClient({ url: gateway.url });
  const { unmount } = render(h(Runs, { client, workflow: "held", tag: "four" }));
  await screen.findByText("live");
  const restarted = gateway.restart();
  await screen.findByText("connecting");
  await restarted;
  const { id } = await held(client, "four");
  await screen.findByText(`live, ${id} running`);
  unmount();
  await nothingOpen();
  gates.open(id);
});
