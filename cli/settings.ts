import { type DurabilityOption, parseRedisUrl } from "../engine/index.ts";
import { parseBlobsUrl } from "../engine/open-blobs.ts";
import type { JwtSettings } from "../gateway/access/jwt.ts";
import { Destinations, type WebhookPolicy } from "../workflows/webhooks/destinations.ts";
import { UsageError } from "./errors.ts";

/** What the environment says, checked. */
export interface Settings {
  /** Undefined where none is set: `millrace dev` starts a server of its own then. */
  redisUrl: string | undefined;
  port: number;
  host: string;
  /** The port that operators are served on apart; undefined where they are not. */
  adminPort: number | undefined;
  adminHost: string;
  logLevel: LogLevel;
  logFormat: LogFormat;
  namespace: string;
  /** The URL of the blob store, or its directory. */
  blobs: string;
  /** How well runs are to be stored before their starts are answered. */
  durability: DurabilityOption;
  /** Where the gateway is, for what speaks to one. */
  gatewayUrl: string;
  /** What lets it in there. */
  gatewayKey: string | undefined;
  /** Where webhooks may be sent beside public addresses over https. */
  webhooks: WebhookPolicy;
  /** Of which origins pages may ask the gateway. */
  origins: readonly string[];
  /** Whose tokens the gateway takes beside keys. */
  jwt: JwtSettings | undefined;
  /** How spans are sent; undefined where they are not. */
  tracing: Tracing | undefined;
}

export const TRACING_PROTOCOLS = ["http/protobuf", "http/json"] as const;

/** Where to, the exporter reads itself from the same variables. */
export interface Tracing {
  protocol: (typeof TRACING_PROTOCOLS)[number];
}

export const LOG_LEVELS = ["trace", "debug", "info", "warning", "error", "fatal"] as const;
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The value of a variable; undefined if it is not set. */
type Reader = (name: (typeof VARIABLES)[number]) => string | undefined;
type Environment = Readonly<Record<string, string | undefined>>;

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

export const TENANT_CLAIM = "tenant";
export const SCOPES_CLAIM = "scope";

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
  return {
    redisUrl: redisUrl("REDIS_URL", value("REDIS_URL")) ?? redisUrl("VALKEY_URL", value("VALKEY_URL")),
    port: parsePort("PORT", value("PORT") ?? "8787"),
    host: value("HOST") ?? "127.0.0.1",
    adminPort: adminPort === undefined ? undefined : parsePort("MILLRACE_ADMIN_PORT", adminPort),
    adminHost: value("MILLRACE_ADMIN_HOST") ?? "127.0.0.1",
    logLevel: logLevel(value("LOG_LEVEL") ?? "info"),
    logFormat: logFormat(value("LOG_FORMAT") ?? "text"),
    namespace: namespace(value("MILLRACE_NAMESPACE") ?? "millrace"),
    blobs: blobs(value("MILLRACE_BLOBS") ?? `${HOME}/blobs`),
    durability: durability(value("MILLRACE_DURABILITY") ?? "memory"),
    gatewayUrl: gatewayUrl("MILLRACE_URL", value("MILLRACE_URL") ?? "http://localhost:8787"),
    gatewayKey: value("MILLRACE_KEY"),
    webhooks: {
      allow: allowed(value("MILLRACE_WEBHOOKS_ALLOW") ?? ""),
      http: isYes("MILLRACE_WEBHOOKS_HTTP", value("MILLRACE_WEBHOOKS_HTTP") ?? "no"),
    },
    origins: (value("MILLRACE_ORIGINS") ?? "")
      .split(/[\s,]+/)
      .filter((origin) => origin !== "")
      .map(origin),
    jwt: jwt(value),
    tracing: tracing(value),
  };
}

function origin(text: string): string {
  if (URL.canParse(text) && new URL(text).origin === text) return text;
  throw new UsageError(`MILLRACE_ORIGINS takes origins such as https://app.example.com, not ${JSON.stringify(text)}.`);
}

function jwt(value: (name: (typeof VARIABLES)[number]) => string | undefined): JwtSettings | undefined {
  const issuer = value("MILLRACE_JWT_ISSUER");
  const audience = value("MILLRACE_JWT_AUDIENCE");
  if (issuer === undefined && audience === undefined) return undefined;
  if (issuer === undefined || audience === undefined)
    throw new UsageError("MILLRACE_JWT_ISSUER and MILLRACE_JWT_AUDIENCE go together.");
  return {
    issuer,
    audience,
    tenantClaim: value("MILLRACE_JWT_TENANT_CLAIM") ?? TENANT_CLAIM,
    scopesClaim: value("MILLRACE_JWT_SCOPES_CLAIM") ?? SCOPES_CLAIM,
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
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max))
    throw new UsageError(`${name} takes a whole number from ${min} to ${max}, not ${JSON.stringify(text)}.`);
  return number;
}

function redisUrl(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    parseRedisUrl(text);
  } catch (error) {
    throw new UsageError(`${name} takes a URL such as redis://localhost:6379. ${(error as Error).message}`);
  }
  return text;
}

/** @throws UsageError */
export function gatewayUrl(name: string, text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`${name} takes a URL such as http://localhost:8787, not ${JSON.stringify(text)}.`);
}

function blobs(text: string): string {
  try {
    parseBlobsUrl(text);
  } catch (error) {
    throw new UsageError(`MILLRACE_BLOBS takes a directory or a URL such as s3://bucket. ${(error as Error).message}`);
  }
  return text;
}

function durability(text: string): DurabilityOption {
  if (text === "memory" || text === "disk") return text;
  const [, replicas] = /^replicas:(\d{1,3})$/.exec(text) ?? [];
  if (replicas !== undefined) return { replicas: parseWhole("MILLRACE_DURABILITY, of replicas,", replicas, 1, 100) };
  throw new UsageError(`MILLRACE_DURABILITY takes memory, disk or replicas:N, not ${JSON.stringify(text)}.`);
}

function allowed(text: string): string[] {
  const allow = text.split(",").map((entry) => entry.trim());
  const given = allow.filter((entry) => entry !== "");
  try {
    new Destinations({ allow: given });
  } catch (error) {
    throw new UsageError(`MILLRACE_WEBHOOKS_ALLOW takes a list with commas between. ${(error as Error).message}.`);
  }
  return given;
}

function isYes(name: string, text: string): boolean {
  if (text === "yes" || text === "no") return text === "yes";
  throw new UsageError(`${name} takes yes or no, not ${JSON.stringify(text)}.`);
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

function logLevel(text: string): LogLevel {
  const wanted = text.toLowerCase() === "warn" ? "warning" : text.toLowerCase();
  const level = LOG_LEVELS.find((each) => each === wanted);
  if (level === undefined)
    throw new UsageError(`LOG_LEVEL takes one of ${LOG_LEVELS.join(", ")}, not ${JSON.stringify(text)}.`);
  return level;
}

function logFormat(text: string): LogFormat {
  const format = LOG_FORMATS.find((each) => each === text.toLowerCase());
  if (format === undefined)
    throw new UsageError(`LOG_FORMAT takes one of ${LOG_FORMATS.join(", ")}, not ${JSON.stringify(text)}.`);
  return format;
}

function namespace(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,40}$/.test(text))
    throw new UsageError(`MILLRACE_NAMESPACE takes 1 to 40 of A-Z a-z 0-9 _ -, not ${JSON.stringify(text)}.`);
  return text;
}
