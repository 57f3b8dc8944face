import { writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { connect } from "../../engine/index.ts";
import { adminKey } from "../support/admin-key.ts";
import { answerOf } from "../support/gateway.ts";
import { otlpReceiver, type ReceivedSpan } from "../support/otlp.ts";
import { missing, RUNTIMES, type Runtime, type StartedProcess, startFile } from "../support/process.ts";
import { traced } from "../support/programs/traced.ts";
import { engineUrl, freshNamespace } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";
const SERVER = 2;
const PRODUCER = 4;
const CONSUMER = 5;
const LEASE = ["--lease-ms", "1500"];

/** Processes of the command over one namespace. For `await using`. */
async function processes(env: Record<string, string>, runtime: Runtime = "node") {
  const namespace = freshNamespace();
  const started: StartedProcess[] = [];
  const shared = { REDIS_URL: engineUrl, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: await temporaryDir(), ...env };
  const start = (...args: string[]) => {
    const all = [...args, "--workflows", "tests/support/programs/traced.ts"];
    const process = startFile(runtime, "cli/main.ts", { args: all, env: shared });
    started.push(process);
    return process;
  };
  return {
    namespace,
    async gateway() {
      const process = start("gateway", "--port", "0");
      const url = (await process.line(/^listening on /, 30_000)).slice("listening on ".length);
      return { process, url, key: await adminKey(namespace, engineUrl) };
    },
    async worker() {
      const process = start("worker", ...LEASE);
      await process.line(/^worker \S+ serves /, 30_000);
      return process;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map((process) => process.stop()));
    },
  };
}

const post = async (url: string, headers: Record<string, string>, file: string) =>
  answerOf(
    await fetch(`${url}/v1/workflows/traced/runs`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify({ input: { file } }),
    }),
  );

/** When the run has ended. */
async function ended(namespace: string, id: string) {
  const millrace = await connect({ url: engineUrl, namespace, workflows: [traced] });
  try {
    for await (const _ of millrace.watch(id, { signal: AbortSignal.timeout(25_000) }));
    return await millrace.runs.get(id);
  } finally {
    await millrace.close();
  }
}

describe("one trace", () => {
  test("spans the request, each step, a retry, and another worker's attempt after a kill", async () => {
    await using receiver = await otlpReceiver();
    const OTEL_EXPORTER_OTLP_ENDPOINT = receiver.url;
    const OTEL_EXPORTER_OTLP_PROTOCOL = "http/json";
    await using all = await processes({
      ...{ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_BSP_SCHEDULE_DELAY: "20" },
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
    });
    const named = (name: string) => receiver.spans.filter((span) => span.name === name);
    const [gateway, first] = await Promise.all([all.gateway(), all.worker()]);
    const traceparent = `00-${TRACE}-${CALLER}-01`;
    const answer = await post(gateway.url, { ...gateway.key, traceparent, tracestate: "vendor=x y" }, "/nowhere");
    expect(answer.status).toBe(202);
    await first.line(/^attempt 1$/);
    // What it had sent by then is all that is heard of it.
    await expect.poll(() => named("step traced/look").length, { timeout: 10_000 }).toBe(2);
    const second = await all.worker();
    first.kill("SIGKILL");
    await second.line(/^attempt 2$/);
    const run = await ended(all.namespace, answer.body.id);
    await Promise.all([gateway.process.stop(), second.stop()]);

    const [server, producer] = [named("POST /v1/workflows/{workflow}/runs")[0]!, named("run traced")[0]!];
    expect(server).toMatchObject({
      ...{ traceId: TRACE, parentSpanId: CALLER, kind: SERVER, traceState: "vendor=x y" },
      attributes: {
        "http.request.method": "POST",
        "http.route": "/v1/workflows/{workflow}/runs",
        "http.response.status_code": 202,
        "url.path": "/v1/workflows/traced/runs",
        "url.scheme": "http",
      },
      resource: { "service.name": "millrace-gateway", "deployment.environment.name": "test" },
    });
    expect(answer.headers.get("traceparent")).toBe(`00-${TRACE}-${server.spanId}-01`);
    expect(producer).toMatchObject({
      ...{ traceId: TRACE, parentSpanId: server.spanId, kind: PRODUCER },
      attributes: { "millrace.workflow": "traced", "millrace.run.id": run.id, "millrace.run.created": true },
    });

    const steps = receiver.spans.filter(({ name }) => name.startsWith("step "));
    const short = ({ name, attributes, status }: ReceivedSpan) => ({
      name,
      attempt: attributes["millrace.attempt"],
      outcome: attributes["millrace.outcome"],
      isError: status.code === 2,
    });
    expect(steps.map(short)).toEqual([
      { name: "step traced/look", attempt: 1, outcome: "retrying", isError: true },
      { name: "step traced/look", attempt: 2, outcome: "completed", isError: false },
      { name: "step traced/hold", attempt: 2, outcome: "completed", isError: false },
      { name: "step traced/end", attempt: 1, outcome: "completed", isError: false },
    ]);
    for (const span of steps)
      expect(span).toMatchObject({
        ...{ traceId: TRACE, parentSpanId: producer.spanId, kind: CONSUMER, traceState: "vendor=x y" },
        attributes: {
          "messaging.system": "millrace",
          "messaging.operation.type": "process",
          "millrace.run.id": run.id,
          "millrace.workflow": "traced",
          "millrace.step": span.name.slice("step traced/".length),
        },
        resource: { "service.name": "millrace-worker" },
      });
    const [failed, looked, , last] = steps;
    expect(failed).toMatchObject({
      attributes: { "error.type": "TypeError" },
      status: { message: "not yet" },
      events: [
        {
          name: "exception",
          attributes: { "exception.message": "not yet", "exception.stacktrace": expect.any(String) },
        },
      ],
    });
    // Another process did what the killed one had in hand.
    const workers = steps.map(({ resource }) => resource["service.instance.id"]);
    expect(workers).toEqual([workers[0], workers[0], workers[3], workers[3]]);
    expect(workers[3]).not.toBe(workers[0]);
    // A handler's own requests go on from its attempt, by whichever way it finds out where that is.
    expect(run.output).toEqual({
      traceparent: `00-${TRACE}-${looked!.spanId}-01`,
      active: looked!.spanId,
      own: `00-${TRACE}-${last!.spanId}-01`,
    });
    expect(new Set(receiver.requests.map(({ path }) => path))).toEqual(new Set(["/v1/traces"]));
  });

  test("begins here where the caller is in none, or in one that is not valid", async () => {
    await using receiver = await otlpReceiver();
    await using all = await processes({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/v1/traces`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    });
    const { process, url, key } = await all.gateway();
    const traces = new Set<string>();
    for (const headers of [{}, { traceparent: `00-${TRACE}-${CALLER}-01-more`, tracestate: "a=1" }]) {
      const answer = await post(url, { ...key, ...(headers as Record<string, string>) }, "/nowhere");
      expect(answer.status).toBe(202);
      traces.add(answer.headers.get("traceparent")!.slice(3, 35));
    }
    const wrong = await fetch(`${url}/v1/nothing/here?secret=1`);
    await wrong.body?.cancel();
    await fetch(`${url}/livez`);
    // What has not been sent by then is as it stops.
    await process.stop();
    expect(traces.size).toBe(2);
    expect(traces).not.toContain(TRACE);
    const servers = receiver.spans.filter(({ kind }) => kind === SERVER);
    const routes = servers.map(({ name, attributes }) => [name, attributes["url.path"]]);
    const start = ["POST /v1/workflows/{workflow}/runs", "/v1/workflows/traced/runs"];
    expect(routes).toEqual([start, start, ["GET", "/v1/nothing/here"]]);
    expect(servers.slice(0, 2).map(({ traceId }) => traceId)).toEqual([...traces]);
    expect(servers.map(({ parentSpanId }) => parentSpanId)).toEqual(["", "", ""]);
    expect(JSON.stringify(receiver.spans)).not.toContain("secret");
  });
});

describe.each(RUNTIMES)("under %s", (runtime) => {
  test.skipIf(missing(runtime))("spans are sent as protobuf, unless something else is asked for", async () => {
    await using receiver = await otlpReceiver();
    await using all = await processes({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }, runtime);
    const [gateway, worker] = await Promise.all([all.gateway(), all.worker()]);
    const file = `${await temporaryDir()}/go`;
    await writeFile(file, "");
    const answer = await post(gateway.url, { ...gateway.key, traceparent: `00-${TRACE}-${CALLER}-01` }, file);
    const { traceparent, active, own } = (await ended(all.namespace, answer.body.id)).output as Record<string, string>;
    expect(traceparent).toMatch(new RegExp(`^00-${TRACE}-${active}-01$`));
    expect(own).toMatch(new RegExp(`^00-${TRACE}-(?!${active})`));
    await Promise.all([gateway.process.stop(), worker.stop()]);
    const sent = { path: "/v1/traces", type: "application/x-protobuf" };
    expect(receiver.requests).toEqual(expect.arrayContaining([sent, sent]));
  });
});

test("a collector that is away holds nothing up, and is said to be away", async () => {
  await using receiver = await otlpReceiver();
  const { url } = receiver;
  await receiver[Symbol.asyncDispose]();
  const soon = { OTEL_BSP_SCHEDULE_DELAY: "20", OTEL_EXPORTER_OTLP_TIMEOUT: "500" };
  await using all = await processes({ OTEL_EXPORTER_OTLP_ENDPOINT: url, ...soon });
  const [gateway, worker] = await Promise.all([all.gateway(), all.worker()]);
  const file = `${await temporaryDir()}/go`;
  await writeFile(file, "");
  const { body } = await post(gateway.url, gateway.key, file);
  expect(await ended(all.namespace, body.id)).toMatchObject({ status: "completed" });
  expect(await gateway.process.stop()).toEqual({ code: 0, signal: null });
  expect(await worker.stop()).toEqual({ code: 0, signal: null });
  expect(gateway.process.output()).toMatch(/millrace·tracing/);
});
