import { createHmac } from "node:crypto";
import { any } from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type StepContext, workflow } from "../../engine/index.ts";
import { type Answer, answerOf, eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-http.ts";

/** What a run's step is told of its trace, as its output. */
const tell = (_: unknown, { traceparent, tracestate }: StepContext) => ({ traceparent, tracestate });
const workflows = ["told", "inference"].map((name) => workflow(name, { input: any() }).step("tell", tell));

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows });
});
afterAll(() => gateway.close());

const TRACE = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "vendor=1" };
const RUNS = "/v1/workflows/told/runs";

/** What the run of an answer has come to. */
async function told({ status, body }: Answer) {
  expect(status).toBe(202);
  const run = await eventually(
    async () => (await gateway.call("GET", `/v1/runs/${body.id}`)).body,
    ({ status }) => status === "completed",
  );
  return run.output;
}

test("whatever starts a run takes the caller's trace, and says it in its answer", async () => {
  const starts: [path: string, body: object][] = [
    [RUNS, { input: 1 }],
    ["/v1/inference", { prompt: "x" }],
    ["/v1/schedules/later/trigger", {}],
  ];
  await gateway.call("PUT", "/v1/schedules/later", { workflow: "told", input: 1, every: 9e7 });
  for (const [path, body] of starts) {
    const answer = await gateway.call("POST", path, body, TRACE);
    expect(answer.headers.get("traceparent")).toBe(TRACE.traceparent);
    expect(await told(answer)).toEqual(TRACE);
  }
  const hooked = { scheme: "hmac-sha256", secret: "a secret of sixteen", signature: { header: "Signature" } };
  const hook = (await gateway.call("POST", "/v1/inbound-hooks", { ...hooked, action: { start: "told" } })).body.id;
  const signature = createHmac("sha256", hooked.secret).update("{}").digest("hex");
  const received = await gateway.call("POST", `/v1/hooks/${hook}`, {}, { ...TRACE, Signature: signature });
  expect(await told(received)).toEqual(TRACE);
  const upload = await fetch(`${gateway.url}/v1/documents?workflow=told&name=a.txt`, {
    method: "POST",
    headers: { "Content-Type": "text/plain", ...TRACE },
    body: "text",
  });
  expect(await told(await answerOf(upload))).toEqual(TRACE);
  const first = await gateway.call("POST", RUNS, { input: 1 });
  expect(await told(first)).toEqual({});
  const again = await gateway.call("POST", `/v1/runs/${first.body.id}/rerun`, { from: "tell" }, TRACE);
  expect(await told(again)).toEqual(TRACE);
});

test("an upload that is complete starts its run in the trace of the request that brought the last byte", async () => {
  const metadata = `filename ${btoa("a.txt")},workflow ${btoa("told")}`;
  const begun = await fetch(`${gateway.url}/v1/uploads`, {
    method: "POST",
    headers: { "Tus-Resumable": "1.0.0", "Upload-Length": "4", "Upload-Metadata": metadata },
  });
  const ended = await fetch(gateway.url + begun.headers.get("location"), {
    method: "PATCH",
    headers: {
      ...{ "Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream" },
      ...TRACE,
    },
    body: "text",
  });
  const id = ended.headers.get("millrace-run");
  expect(await told({ status: 202, headers: ended.headers, body: { id } })).toEqual(TRACE);
});

test("the description has both header fields where a run is started, and the answer's", async () => {
  const { paths } = (await gateway.call("GET", "/openapi.json")).body;
  interface Described {
    operationId: string;
    parameters: { name: string; in: string }[];
    responses: Record<string, { headers?: Record<string, unknown> }>;
  }
  const all = Object.values<Record<string, Described>>(paths).flatMap((methods) => Object.values(methods));
  const taking = all.filter(({ parameters }) =>
    ["traceparent", "tracestate"].every((name) =>
      parameters.some((each) => each.in === "header" && each.name === name),
    ),
  );
  expect(taking.map(({ operationId }) => operationId).sort()).toEqual([
    ...["continueUpload", "createChatCompletion", "createEmbeddings", "createUpload", "infer"],
    ...["receiveMessage", "rerunRun", "resumeUpload", "startRun", "triggerSchedule", "uploadDocument"],
  ]);
  for (const { responses } of taking)
    for (const [status, { headers = {} }] of Object.entries(responses))
      if (Number(status) < 300) expect(headers).toHaveProperty("traceparent");
});

test("what is no trace is ignored, as the standard has it", async () => {
  for (const traceparent of ["garbage", "", `${TRACE.traceparent}-more`, TRACE.traceparent.replace("00-", "ff-")]) {
    const answer = await gateway.call("POST", RUNS, { input: 1 }, { ...TRACE, traceparent });
    expect(answer.headers.has("traceparent")).toBe(false);
    expect(await told(answer)).toEqual({});
  }
  const halved = await gateway.call("POST", RUNS, { input: 1 }, { ...TRACE, tracestate: "no state" });
  expect(await told(halved)).toEqual({ traceparent: TRACE.traceparent });
});

test("two of the header are none, two of the state are one", async () => {
  const body = '{"input":1}';
  const head = [`POST ${RUNS} HTTP/1.1`, "Content-Type: application/json", `Content-Length: ${body.length}`];
  const send = (...more: string[]) => rawRequest(gateway.port, { head: [...head, ...more], chunks: [body] });
  const header = `traceparent: ${TRACE.traceparent}`;
  const twice = await send(header, header);
  expect(twice).toMatch(/^HTTP\/1\.1 202 /);
  expect(twice).not.toMatch(/\r\ntraceparent:/i);
  const states = await send(header, "tracestate: a=1", "tracestate: b=2");
  expect(states).toMatch(new RegExp(`\\r\\n${header}\\r\\n`, "i"));
  const [, id] = /"id":"([^"]+)"/.exec(states)!;
  expect(await told({ status: 202, headers: new Headers(), body: { id } })).toEqual({
    ...TRACE,
    tracestate: "a=1,b=2",
  });
});

test("every other answer says it as well, problems and streams too", async () => {
  const { body } = await gateway.call("POST", RUNS, { input: 1 });
  for (const path of [`/v1/runs/${body.id}`, "/v1/runs/none", "/v1/nothing", `/v1/runs/${body.id}/events`]) {
    const answer = await gateway.call("GET", path, undefined, TRACE);
    expect([path, answer.headers.get("traceparent")]).toEqual([path, TRACE.traceparent]);
  }
  expect((await gateway.call("PUT", RUNS, {}, TRACE)).headers.get("traceparent")).toBe(TRACE.traceparent);
});
