import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { TestStream } from "../support/live-clients.ts";

const { workflows, gates } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows, limits: { waitMs: 2_000 } });
});
afterAll(() => gateway.close());

const infer = (body: unknown, headers: Record<string, string> = {}) =>
  gateway.call("POST", "/v1/inference", body, headers);
const completed = (id: string) =>
  eventually(
    async () => (await gateway.call("GET", `/v1/runs/${id}`)).body,
    ({ status }) => status === "completed",
  );

describe("a prompt", () => {
  test("is a run, with everything that the contract names", async () => {
    const { status, headers, body } = await infer({
      ...{ prompt: "hello", model: "m", user_id: "u", system: "s", max_tokens: 7, priority: "high" },
    });
    expect(status).toBe(202);
    expect(body).toMatchObject({ workflow: "inference", status: "queued" });
    expect(headers.get("location")).toBe(`/v1/runs/${body.id}`);
    expect((await completed(body.id)).output).toEqual({
      text: "HELLO",
      rest: { model: "m", user_id: "u", system: "s", max_tokens: 7 },
    });
  });

  test("is waited for", async () => {
    const { status, headers, body } = await infer({ prompt: "hello" }, { Prefer: "respond-async, wait=100" });
    expect(status).toBe(200);
    // At most as long as is allowed here.
    expect(headers.get("preference-applied")).toBe("wait=2");
    expect(headers.get("content-location")).toBe(`/v1/runs/${body.id}`);
    expect(body).toMatchObject({ status: "completed", output: { text: "HELLO" } });
  });

  test("is waited for no longer than asked", async () => {
    const { status, headers, body } = await infer({ prompt: "slow" }, { Prefer: "wait=1" });
    expect(status).toBe(202);
    expect(headers.has("preference-applied")).toBe(false);
    expect(await gateway.watched()).toEqual([]);
    gates.open(body.id);
    await completed(body.id);
  });

  test("streams its events", async () => {
    const stream = await TestStream.open(`${gateway.url}/v1/inference`, {
      method: "POST",
      headers: { Accept: "text/event-stream", "Content-Type": "application/json" },
      body: JSON.stringify({ prompt: "slow" }),
    });
    expect(stream.headers.get("content-type")).toBe("text/event-stream");
    const { run } = await stream.ofType("step.output");
    expect(stream.headers.get("location")).toBe(`/v1/runs/${run}`);
    gates.open(run);
    await stream.ended;
    expect(stream.messages.map(({ seq }) => seq)).toEqual(stream.messages.map((_, i) => i + 1));
    expect(stream.messages.at(-1)).toMatchObject({ type: "run.completed" });
  });

  test("with an Idempotency-Key is answered once", async () => {
    const headers = { "Idempotency-Key": "p", Prefer: "wait=2" };
    const first = await infer({ prompt: "hello" }, headers);
    const again = await infer({ prompt: "hello" }, headers);
    expect([first.status, again.status, again.body.id]).toEqual([200, 200, first.body.id]);
    expect((await infer({ prompt: "other" }, headers)).status).toBe(422);
  });

  test.each([
    {},
    { prompt: 1 },
    { prompt: "a", priority: "urgent" },
    { prompt: "a", temperature: 3 },
    { prompt: "a", top_k: 1 },
  ])("is refused: %j", async (body) => {
    expect((await infer(body)).status).toBe(422);
  });
});
