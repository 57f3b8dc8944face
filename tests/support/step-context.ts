import type { BlobStore, StepContext, UsageReport } from "../../engine/index.ts";

export interface RecordedContext extends StepContext {
  /** What the handler has said, in order. */
  readonly progressed: { fraction: number; message?: string }[];
  readonly emitted: (string | object)[];
  readonly logged: string[];
  readonly used: UsageReport[];
  /** How many tokens the handler says that it has spent. */
  readonly spent: number[];
}

/** What a handler is given, without an engine: it keeps what the handler says. A flag is on if its value is true. */
export function stepContext(
  blobs: BlobStore,
  given: {
    step?: string;
    signal?: AbortSignal;
    env?: StepContext["env"];
    attempt?: number;
    config?: Map<string, unknown>;
  } = {},
): RecordedContext {
  const progressed: RecordedContext["progressed"] = [];
  const emitted: RecordedContext["emitted"] = [];
  const logged: string[] = [];
  const used: UsageReport[] = [];
  const spent: number[] = [];
  const config = given.config ?? new Map<string, unknown>();
  const log = (message: string) => void logged.push(message);
  return {
    run: { id: "0190b0a1f0007000800000000000000a-0", workflow: "under-test", version: 1, tenant: "default" },
    step: given.step ?? "under-test",
    item: undefined,
    attempt: given.attempt ?? 1,
    signal: given.signal ?? new AbortController().signal,
    idempotencyKey: "0190b0a1f0007000800000000000000a-0/under-test",
    fence: "1-0/1",
    traceparent: undefined,
    tracestate: undefined,
    blobs,
    env: given.env ?? {},
    config: {
      get: <T>(key: string) => config.get(key) as T | undefined,
      flag: (name, options) => (config.get(name) ?? options?.default) === true,
    },
    heartbeat: async () => {},
    once: async (_name, fn) => fn(),
    usage: (report) => void used.push(report),
    cached: () => ({ value: undefined, keep: () => {} }),
    log: { debug: log, info: log, warn: log, error: log },
    progress: (fraction, message) => void progressed.push(message === undefined ? { fraction } : { fraction, message }),
    emit: (output) => void emitted.push(output),
    used,
    spend: (tokens) => void spent.push(tokens),
    progressed,
    emitted,
    logged,
    spent,
  };
}
