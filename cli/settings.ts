import {
  type Environment,
  type GatewaySettings,
  readGatewaySettings,
  SettingError,
  wholeNumber,
} from "../gateway/settings.ts";
import { UsageError } from "./errors.ts";

/** What the environment says, checked. Without `redisUrl`, `millrace dev` starts a server of its own. */
export interface Settings extends GatewaySettings {
  port: number;
  host: string;
  /** The port that operators are served on apart; undefined where they are not. */
  adminPort: number | undefined;
  adminHost: string;
  logFormat: LogFormat;
  /** The URL of the blob store, or its directory. */
  blobs: string;
  /** Where the gateway is, for what speaks to one. */
  gatewayUrl: string;
  /** What lets it in there. */
  gatewayKey: string | undefined;
  /** How spans are sent; undefined where they are not. */
  tracing: Tracing | undefined;
}

export const TRACING_PROTOCOLS = ["http/protobuf", "http/json"] as const;

/** Where to, the exporter reads itself from the same variables. */
export interface Tracing {
  protocol: (typeof TRACING_PROTOCOLS)[number];
}

export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** The value of a variable; undefined if it is not set. */
type Reader = (name: (typeof VARIABLES)[number]) => string | undefined;

/** Every variable that Millrace itself reads. Handlers find all others in `ctx.env`. */
export const VARIABLES = [
  "REDIS_URL",
  "VALKEY_URL",
  "PORT",
  "HOST",
  "MILLRACE_ADMIN_PORT",
  "MILLRACE_ADMIN_HOST",
  "LOG_LEVEL",
  "LOG_FORMAT",
  "MILLRACE_NAMESPACE",
  "MILLRACE_BLOBS",
  "MILLRACE_DURABILITY",
  "MILLRACE_URL",
  "MILLRACE_KEY",
  "MILLRACE_WEBHOOKS_ALLOW",
  "MILLRACE_WEBHOOKS_HTTP",
  "MILLRACE_ORIGINS",
  "MILLRACE_JWT_ISSUER",
  "MILLRACE_JWT_AUDIENCE",
  "MILLRACE_JWT_TENANT_CLAIM",
  "MILLRACE_JWT_SCOPES_CLAIM",
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_PROTOCOL",
  "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
  "OTEL_TRACES_EXPORTER",
  "OTEL_SDK_DISABLED",
] as const;

/** Where things are kept that belong to this directory's own Millrace, relative to it. */
export const HOME = ".millrace";

/**
 * Reads the settings from environment variables. An empty one counts as not set.
 *
 * @throws UsageError naming the variable and what it takes
 */
export function readSettings(env: Environment): Settings {
  const value: Reader = (name) => env[name]?.trim() || undefined;
  const adminPort = value("MILLRACE_ADMIN_PORT");
  const common = asUsage(() => readGatewaySettings(env));
  return {
    ...common,
    port: parsePort("PORT", value("PORT") ?? "8787"),
    host: value("HOST") ?? "127.0.0.1",
    adminPort: adminPort === undefined ? undefined : parsePort("MILLRACE_ADMIN_PORT", adminPort),
    adminHost: value("MILLRACE_ADMIN_HOST") ?? "127.0.0.1",
    logFormat: logFormat(value("LOG_FORMAT") ?? "text"),
    blobs: common.blobs ?? `${HOME}/blobs`,
    gatewayUrl: gatewayUrl("MILLRACE_URL", value("MILLRACE_URL") ?? "http://localhost:8787"),
    gatewayKey: value("MILLRACE_KEY"),
    tracing: tracing(value),
  };
}

/** For the commands that do not start a server. @throws UsageError */
export function requireRedis({ redisUrl }: Settings): string {
  if (redisUrl === undefined)
    throw new UsageError(
      "REDIS_URL is not set, for example to redis://localhost:6379. (millrace dev starts a server of its own.)",
    );
  return redisUrl;
}

/** A port, 0 for any that is free. @throws UsageError */
export function parsePort(name: string, text: string): number {
  return parseWhole(name, text, 0, 65_535);
}

/** A whole number in plain digits. @throws UsageError */
export function parseWhole(name: string, text: string, min: number, max: number): number {
  return asUsage(() => wholeNumber(name, text, min, max));
}

function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SettingError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** @throws UsageError */
export function gatewayUrl(name: string, text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`${name} takes a URL such as http://localhost:8787, not ${JSON.stringify(text)}.`);
}

/** As OpenTelemetry has it: those for traces stand above those for all. */
function tracing(value: Reader): Tracing | undefined {
  const first = (...names: Parameters<Reader>[0][]) => names.find((name) => value(name) !== undefined);
  const endpoint = first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT");
  const exporter = value("OTEL_TRACES_EXPORTER") ?? "otlp";
  if (endpoint === undefined || exporter === "none" || value("OTEL_SDK_DISABLED")?.toLowerCase() === "true")
    return undefined;
  if (exporter !== "otlp")
    throw new UsageError(`OTEL_TRACES_EXPORTER takes otlp or none, not ${JSON.stringify(exporter)}.`);
  const url = value(endpoint)!;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new UsageError(`${endpoint} takes a URL such as http://localhost:4318.`);
  const named = first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
  const wanted = named === undefined ? "http/protobuf" : value(named)!;
  const protocol = TRACING_PROTOCOLS.find((each) => each === wanted);
  if (protocol === undefined)
    throw new UsageError(`${named} takes one of ${TRACING_PROTOCOLS.join(", ")}, not ${JSON.stringify(wanted)}.`);
  return { protocol };
}

function logFormat(text: string): LogFormat {
  const format = LOG_FORMATS.find((each) => each === text.toLowerCase());
  if (format === undefined)
    throw new UsageError(`LOG_FORMAT takes one of ${LOG_FORMATS.join(", ")}, not ${JSON.stringify(text)}.`);
  return format;
}
