import { createElement as h } from "react";
import { renderToString } from "react-dom/server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MillraceProvider, useClient, useRun, useRuns, useUpload } from "../../../gateway/client/react/index.ts";
import { countedClient } from "../../support/counted-client.ts";
import { openConnections, startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows: gatewayWorkflows().workflows });
});
afterAll(() => gateway.close());

function Page({ id }: { id: string | undefined }) {
  const client = useClient();
  const { connection, run } = useRun(client, id);
  const list = useRuns(client, { workflow: "greet" });
  const { state } = useUpload(client);
  return h("p", null, `${connection} ${run?.status ?? "-"} ${list.connection} ${list.runs?.length ?? "-"} ${state}`);
}

test("a server draws what is not known yet, and asks for nothing; the page goes on from there", async () => {
  const { client, requests, sockets } = countedClient({ url: gateway.url });
  const run = await client.start("greet", { name: "Ada" });
  await run.result();
  const [asked, opened] = [requests.length, sockets()];
  const shown = (id?: string) => h(MillraceProvider, { client }, h(Page, { id }));
  expect(renderToString(shown())).toBe("<p>idle - connecting - idle</p>");
  const html = renderToString(shown(run.id));
  expect(html).toBe("<p>connecting - connecting - idle</p>");
  expect([requests.length, sockets()]).toEqual([asked, opened]);
  await expect.poll(() => openConnections(gateway)).toBe(0);

  await import("../../support/page.ts");
  const { act, cleanup, render, screen } = await import("@testing-library/react");
  document.body.innerHTML = `<main>${html}</main>`;
  const container = document.querySelector("main")!;
  const before = container.firstChild;
  const errors: unknown[] = [];
  await act(async () => {
    render(shown(run.id), { container, hydrate: true, onRecoverableError: (error) => errors.push(error) });
  });
  await screen.findByText("ended completed live 1 idle");
  expect(container.firstChild).toBe(before);
  expect(errors).toEqual([]);
  cleanup();
  await expect.poll(() => openConnections(gateway)).toBe(0);
});
