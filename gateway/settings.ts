import { type DurabilityOption, parseBlobsUrl, parseRedisUrl } from "../engine/index.ts";
import { Destinations, type WebhookPolicy } from "../workflows/webhooks/destinations.ts";
import type { JwtSettings } from "./access/jwt.ts";

/** What a gateway's environment says, whichever runtime it is on, checked. */
export interface GatewaySettings {
  /** Undefined where none is set. */
  redisUrl: string | undefined;
  logLevel: LogLevel;
  namespace: string;
  /** The URL of the blob store, or its directory; undefined where none is set. */
  blobs: string | undefined;
  /** How well runs are to be stored before their starts are answered. */
  durability: DurabilityOption;
  /** Where webhooks may be sent beside public addresses over https. */
  webhooks: WebhookPolicy;
  /** Of which origins pages may ask the gateway. */
  origins: readonly string[];
  /** Whose tokens the gateway takes beside keys. */
  jwt: JwtSettings | undefined;
}

const LOG_LEVELS = ["trace", "debug", "info", "warning", "error", "fatal"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const TENANT_CLAIM = "tenant";
export const SCOPES_CLAIM = "scope";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable has a value that cannot be. Its message names the variable and what it takes, and repeats no password. */
export class SettingError extends Error {
  override readonly name = "SettingError";
}

/**
 * Reads a gateway's settings from environment variables, or from what stands in their place. An empty one counts as not set.
 *
 * @throws SettingError
 */
export function readGatewaySettings(env: Environment): GatewaySettings {
  const value = (name: string) => env[name]?.trim() || undefined;
  const where = value("MILLRACE_BLOBS");
  return {
    redisUrl: redisUrl("REDIS_URL", value("REDIS_URL")) ?? redisUrl("VALKEY_URL", value("VALKEY_URL")),
    logLevel: logLevel(value("LOG_LEVEL") ?? "info"),
    namespace: namespace(value("MILLRACE_NAMESPACE") ?? "millrace"),
    blobs: where === undefined ? undefined : blobs(where),
    durability: durability(value("MILLRACE_DURABILITY") ?? "memory"),
    webhooks: {
      allow: allowed(value("MILLRACE_WEBHOOKS_ALLOW") ?? ""),
      http: isYes("MILLRACE_WEBHOOKS_HTTP", value("MILLRACE_WEBHOOKS_HTTP") ?? "no"),
    },
    origins: (value("MILLRACE_ORIGINS") ?? "")
      .split(/[\s,]+/)
      .filter((origin) => origin !== "")
      .map(origin),
    jwt: jwt(value),
  };
}

function origin(text: string): string {
  if (URL.canParse(text) && new URL(text).origin === text) return text;
  throw new SettingError(
    `MILLRACE_ORIGINS takes origins such as https://app.example.com, not ${JSON.stringify(text)}.`,
  );
}

function jwt(value: (name: string) => string | undefined): JwtSettings | undefined {
  const issuer = value("MILLRACE_JWT_ISSUER");
  const audience = value("MILLRACE_JWT_AUDIENCE");
  if (issuer === undefined && audience === undefined) return undefined;
  if (issuer === undefined || audience === undefined)
    throw new SettingError("MILLRACE_JWT_ISSUER and MILLRACE_JWT_AUDIENCE go together.");
  return {
    issuer,
    audience,
    tenantClaim: value("MILLRACE_JWT_TENANT_CLAIM") ?? TENANT_CLAIM,
    scopesClaim: value("MILLRACE_JWT_SCOPES_CLAIM") ?? SCOPES_CLAIM,
  };
}

function redisUrl(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    parseRedisUrl(text);
  } catch (error) {
    throw new SettingError(`${name} takes a URL such as redis://localhost:6379. ${(error as Error).message}`);
  }
  return text;
}

function blobs(text: string): string {
  try {
    parseBlobsUrl(text);
  } catch (error) {
    throw new SettingError(
      `MILLRACE_BLOBS takes a directory or a URL such as s3://bucket. ${(error as Error).message}`,
    );
  }
  return text;
}

function durability(text: string): DurabilityOption {
  if (text === "memory" || text === "disk") return text;
  const [, replicas] = /^replicas:(\d{1,3})$/.exec(text) ?? [];
  if (replicas !== undefined) return { replicas: wholeNumber("MILLRACE_DURABILITY, of replicas,", replicas, 1, 100) };
  throw new SettingError(`MILLRACE_DURABILITY takes memory, disk or replicas:N, not ${JSON.stringify(text)}.`);
}

function allowed(text: string): string[] {
  const allow = text.split(",").map((entry) => entry.trim());
  const given = allow.filter((entry) => entry !== "");
  try {
    new Destinations({ allow: given });
  } catch (error) {
    throw new SettingError(`MILLRACE_WEBHOOKS_ALLOW takes a list with commas between. ${(error as Error).message}.`);
  }
  return given;
}

function isYes(name: string, text: string): boolean {
  if (text === "yes" || text === "no") return text === "yes";
  throw new SettingError(`${name} takes yes or no, not ${JSON.stringify(text)}.`);
}

function logLevel(text: string): LogLevel {
  const wanted = text.toLowerCase() === "warn" ? "warning" : text.toLowerCase();
  const level = LOG_LEVELS.find((each) => each === wanted);
  if (level === undefined)
    throw new SettingError(`LOG_LEVEL takes one of ${LOG_LEVELS.join(", ")}, not ${JSON.stringify(text)}.`);
  return level;
}

function namespace(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,40}$/.test(text))
    throw new SettingError(`MILLRACE_NAMESPACE takes 1 to 40 of A-Z a-z 0-9 _ -, not ${JSON.stringify(text)}.`);
  return text;
}

/** A whole number in plain digits. @throws SettingError */
export function wholeNumber(name: string, text: string, min: number, max: number): number {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max))
    throw new SettingError(`${name} takes a whole number from ${min} to ${max}, not ${JSON.stringify(text)}.`);
  return number;
}
