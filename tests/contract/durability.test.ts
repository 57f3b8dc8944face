import { expect, test } from "vitest";
import { answerOf, startGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { replicated } from "../support/servers/replicated.ts";

test("a run that its replica has not got is 503 unconfirmed, and 202 replicated when the same is asked for later", async () => {
  await using pair = await replicated();
  const { workflows } = gatewayWorkflows();
  const of = { workflows, worker: false, url: pair.primary.url, durability: { replicas: 1, timeoutMs: 200 } };
  const gateway = await startGateway(of);
  try {
    const start = (input: unknown) => {
      const headers = { "Idempotency-Key": "ada" };
      return gateway.call("POST", "/v1/workflows/greet/runs", { input }, headers);
    };
    const upload = async () => {
      const headers = { "Idempotency-Key": "a.txt" };
      const url = `${gateway.url}/v1/documents?workflow=measure&name=a.txt`;
      return answerOf(await fetch(url, { method: "POST", body: "hello", headers }));
    };
    await pair.detach();
    for (const answer of [await start({ name: "Ada" }), await start({ name: "Ada" }), await upload(), await upload()]) {
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toBe("1");
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
      expect(answer.body).toMatchObject({
        ...{ type: "urn:millrace:problem:unconfirmed", title: "Service Unavailable", status: 503 },
        detail: expect.stringMatching(/^Run \S+ is stored and goes on, but 0 of 1 replicas confirmed it within 200 ms/),
      });
    }
    const listed = async () => (await gateway.call("GET", "/v1/runs")).body.data.map(({ id }: { id: string }) => id);
    const unconfirmed = await listed();
    expect(unconfirmed).toHaveLength(2);
    // The first upload's run is there, and needs it.
    expect(await gateway.blobFiles()).toHaveLength(2);

    pair.replica.signal("SIGCONT");
    await expect.poll(async () => (await start({ name: "Ada" })).status).toBe(202);
    for (const answer of [await start({ name: "Ada" }), await upload()]) {
      expect(answer).toMatchObject({ status: 202, body: { durability: "replicated" } });
      expect(unconfirmed).toContain(answer.body.id);
    }
    expect(await listed()).toEqual(unconfirmed);
    expect(await gateway.blobFiles()).toHaveLength(2);
    expect((await start({ name: "Bob" })).status).toBe(422);
  } finally {
    await gateway.close();
  }
});
