import type { Tracing } from "./settings.ts";
import { within } from "./stop.ts";

/** What is not sent by then is lost, and the command ends. */
const FLUSH_MS = 5_000;

/**
 * Has the spans of this process sent by OTLP, until `stop`. Where none are to be sent nothing is loaded. What goes where, how
 * often and how much of it, the SDK reads from the variables `OTEL_…`.
 *
 * @param service its `service.name`, unless a variable says otherwise
 */
export async function startTracing(tracing: Tracing | undefined, service: string): Promise<{ stop(): Promise<void> }> {
  if (tracing === undefined) return { stop: async () => {} };
  const [{ diag, DiagLogLevel }, sdk, resources, { OTLPTraceExporter }, { getLogger }] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace-node"),
    import("@opentelemetry/resources"),
    tracing.protocol === "http/json"
      ? import("@opentelemetry/exporter-trace-otlp-http")
      : import("@opentelemetry/exporter-trace-otlp-proto"),
    import("@logtape/logtape"),
  ]);
  const log = getLogger(["millrace", "tracing"]);
  const say = (as: "error" | "warn") => (message: string) => log[as]("{message}", { message });
  const silent = () => {};
  diag.setLogger(
    { error: say("error"), warn: say("warn"), info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN },
  );

  const own = { "service.name": service, "service.instance.id": crypto.randomUUID() };
  const said = resources.detectResources({ detectors: [resources.envDetector] });
  const provider = new sdk.NodeTracerProvider({
    resource: resources.defaultResource().merge(resources.resourceFromAttributes(own)).merge(said),
    spanProcessors: [new sdk.BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  const flush = () =>
    provider.shutdown().catch((error) => log.warn("the last spans were not sent: {error}", { error }));
  return { stop: async () => void (await within(flush(), FLUSH_MS)) };
}
