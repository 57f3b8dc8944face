import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  /** Empty for the first of a trace. */
  parentSpanId: string;
  name: string;
  /** 2 server, 4 producer, 5 consumer. */
  kind: number;
  attributes: Record<string, unknown>;
  /** 2 for an error. */
  status: { code?: number; message?: string };
  events: { name: string; attributes: Record<string, unknown> }[];
  links: { traceId: string; spanId: string }[];
  traceState?: string;
  resource: Record<string, unknown>;
}

export interface Receiver extends AsyncDisposable {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT is to be. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  readonly requests: readonly { path: string; type: string | undefined }[];
}

type Value = Record<string, unknown> & { arrayValue?: { values: Value[] } };
type Attributes = { key: string; value: Value }[] | undefined;
interface Export {
  resourceSpans: {
    resource: { attributes?: Attributes };
    scopeSpans: {
      spans: (Omit<ReceivedSpan, "attributes" | "resource" | "events"> & {
        attributes?: Attributes;
        events?: { name: string; attributes?: Attributes }[];
      })[];
    }[];
  }[];
}

const plain = (attributes: Attributes = []) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [[type, given] = []] = Object.entries(value);
      return [key, type === "intValue" ? Number(given) : given];
    }),
  );

/** A collector that takes spans by OTLP over HTTP, and reads those that come as JSON. For `await using`. */
export async function otlpReceiver(): Promise<Receiver> {
  const spans: ReceivedSpan[] = [];
  const requests: { path: string; type: string | undefined }[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const type = request.headers["content-type"];
    requests.push({ path: request.url!, type });
    for (const { resource, scopeSpans } of type === "application/json"
      ? (JSON.parse(body) as Export).resourceSpans
      : [])
      for (const { parentSpanId = "", attributes, events = [], links = [], ...rest } of scopeSpans.flatMap(
        (each) => each.spans,
      ))
        spans.push({
          ...{ ...rest, parentSpanId, links },
          attributes: plain(attributes),
          events: events.map(({ name, attributes }) => ({ name, attributes: plain(attributes) })),
          resource: plain(resource.attributes),
        });
    response.writeHead(200, { "Content-Type": "application/json" }).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    ...{ spans, requests },
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
