import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, createClient } from "../../../gateway/client/index.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { openProxy } from "../../support/proxy.ts";

let gateway: TestGateway;
let client: Client;
beforeAll(async () => {
  gateway = await startGateway({ workflows: gatewayWorkflows().workflows });
  client = createClient({ url: gateway.url });
});
afterAll(() => gateway.close());

describe("a file", () => {
  test("is uploaded with progress, and starts a run", async () => {
    const text = "All work and no play makes a dull text. ".repeat(250_000);
    const told: number[] = [];
    const file = new File([text], "päper.txt", { type: "text/plain" });
    const { document, run } = await client.upload(file, {
      workflow: "measure",
      onProgress: (sent, total) => told.push(sent / total),
    });
    expect(document).toMatch(/^[0-9a-f]+$/);
    expect(told[0]).toBe(0);
    expect(told.at(-1)).toBe(1);
    expect(told.length).toBeGreaterThan(3);
    expect(await client.run(run!).result()).toEqual({ bytes: text.length });
    const { input } = await client.run(run!).get();
    expect(input).toMatchObject({ document: { id: document, name: "päper.txt" } });
  });

  test("goes on where it was when connections are cut", async () => {
    await using proxy = await openProxy(gateway.url);
    const own = createClient({ url: proxy.url });
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    const file = new Blob(
      Array.from({ length: 400 }, () => bytes),
      { type: "text/plain" },
    );
    let cuts = 0;
    const { document } = await own.upload(file, {
      name: "large.bin",
      type: "application/octet-stream",
      onProgress() {
        if (cuts < 5) cuts += proxy.cut() > 0 ? 1 : 0;
      },
    });
    expect(cuts).toBe(5);
    const response = await fetch(`${gateway.url}/v1/documents/${document}`);
    expect((await response.arrayBuffer()).byteLength).toBe(400 * 65_536);
  });

  test("that is refused says so at once", async () => {
    const file = new Blob(["no PDF"], { type: "application/pdf" });
    await expect(client.upload(file, { name: "a.pdf" })).rejects.toMatchObject({ name: "ClientError", status: 415 });
  });
});
