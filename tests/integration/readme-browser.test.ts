import { writeFile } from "node:fs/promises";
import { createContext, runInContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { block, readMarkdown } from "../support/markdown.ts";
import { startProgram } from "../support/process.ts";
import { temporaryDir } from "../support/run.ts";

const readme = await readMarkdown("README.md");

describe("the browser's part", () => {
  const { workflows, gates } = gatewayWorkflows();
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startGateway({ workflows });
  });
  afterAll(() => gateway.close());

  const start = async () => (await gateway.call("POST", "/v1/workflows/held/runs", { input: {} })).body.id as string;

  test("by WebSocket shows each event once, also when it is cut, and ends with the run", async () => {
    const run = await start();
    const closed = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
    const sockets: WebSocket[] = [];
    class Recorded extends WebSocket {
      constructor(url: string) {
        super(url);
        const end = closed[sockets.push(this) - 1];
        this.addEventListener("close", ({ code }) => end?.resolve(code));
      }
    }
    const context = createContext({ WebSocket: Recorded, setTimeout, console });
    runInContext(block(readme, "js socket.js").replace("localhost:8787", `127.0.0.1:${gateway.port}`), context);
    const shown: { seq: number; type: string }[] = [];
    context.watch(run, (message: (typeof shown)[0]) => {
      shown.push(message);
      if (message.type === "step.output" && sockets.length === 1) sockets[0]!.close(4000);
    });
    expect(await closed[0]!.promise).toBe(4000);
    gates.open(run);
    expect(await closed[1]!.promise).toBe(1000);
    expect(shown.map(({ seq }) => seq)).toEqual(shown.map((_, i) => i + 1));
    expect(shown.at(-1)).toMatchObject({ type: "run.completed" });
    expect(sockets).toHaveLength(2);
  });

  test("by EventSource shows what it listens to", async () => {
    const run = await start();
    const show = "const [, , run] = process.argv; const show = (message) => console.log(JSON.stringify(message));";
    const code = block(readme, "js stream.js").replace("localhost:8787", `127.0.0.1:${gateway.port}`);
    const dir = await temporaryDir();
    await writeFile(`${dir}/stream.mjs`, `${show}\n${code}`);
    const page = startProgram(process.execPath, ["--experimental-eventsource", `${dir}/stream.mjs`, run]);
    await page.line(/"step\.output".*"before"/);
    gates.open(run);
    await page.line(/"step\.output".*"after"/);
    await page.line(/"run\.completed"/);
    await page.stop();
  });
});
