import { hexDigest } from "../../engine/index.ts";
import { currentSecrets, keyOf } from "../../workflows/webhooks/secrets.ts";
import { isSignedBy } from "../../workflows/webhooks/signature.ts";
import { concat } from "../body.ts";
import { ProblemError } from "../problem.ts";
import type { InboundHook } from "./hook.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type OfHmac = Extract<InboundHook, { scheme: "hmac-sha256" }>;

/** How old a signed time may be, and how far ahead. (https://www.standardwebhooks.com) */
const TOLERANCE_S = 300;
/** So many signatures are tried. */
const MOST_SIGNATURES = 20;
const MOST_ID = 256;

const encoder = new TextEncoder();

/**
 * Checks that a message is signed by the hook's sender.
 *
 * @returns what the signature says of its id: the sender's own, or else the digest of what is signed
 * @throws ProblemError 401
 */
export function verify(hook: InboundHook, headers: Headers, body: Bytes, nowMs: number): Promise<string> {
  return hook.scheme === "standard-webhooks" ? standard(hook, headers, body, nowMs) : hmac(hook, headers, body, nowMs);
}

async function standard(hook: InboundHook, headers: Headers, body: Bytes, nowMs: number): Promise<string> {
  const id = headers.get("webhook-id") ?? "";
  const timestamp = headers.get("webhook-timestamp") ?? "";
  const given = headers.get("webhook-signature") ?? "";
  if (id === "" || id.length > MOST_ID) throw refused();
  checkTime(timestamp, nowMs);
  const signatures = given
    .split(" ", MOST_SIGNATURES)
    .filter((each) => each.startsWith("v1,"))
    .map((each) => fromBase64(each.slice("v1,".length)));
  const keys = currentSecrets(hook.secrets, nowMs).map((secret) => keyOf(secret)!);
  await checkAny(keys, signatures, concat([encoder.encode(`${id}.${timestamp}.`), body]));
  return id;
}

async function hmac(hook: OfHmac, headers: Headers, body: Bytes, nowMs: number): Promise<string> {
  const { header, prefix = "", encoding = "hex", timestamped } = hook.signature;
  const given = headers.get(header) ?? "";
  const decode = encoding === "hex" ? fromHex : fromBase64;
  const keys = currentSecrets(hook.secrets, nowMs).map((secret) => encoder.encode(secret));
  let content: Bytes = body;
  let texts = [given];
  if (timestamped) {
    // `t=1700000000,v1=…,v1=…`, as Stripe writes it.
    const parts = given.split(",", MOST_SIGNATURES).map((part) => part.trim().split("=", 2) as [string, string?]);
    const time = parts.find(([name]) => name === "t")?.[1] ?? "";
    checkTime(time, nowMs);
    content = concat([encoder.encode(`${time}.`), body]);
    texts = parts.filter(([name]) => name === "v1").map(([, text = ""]) => text);
  }
  const signatures = texts.filter((text) => text.startsWith(prefix)).map((text) => decode(text.slice(prefix.length)));
  await checkAny(keys, signatures, content);
  return hexDigest("SHA-256", content);
}

async function checkAny(keys: readonly Bytes[], signatures: readonly (Bytes | undefined)[], content: Bytes) {
  for (const key of keys)
    for (const signature of signatures)
      if (signature !== undefined && (await isSignedBy(key, signature, content))) return;
  throw refused();
}

function checkTime(text: string, nowMs: number): void {
  if (!/^\d{1,12}$/.test(text)) throw refused();
  if (Math.abs(nowMs / 1_000 - Number(text)) > TOLERANCE_S)
    throw new ProblemError(401, "signature_expired", `The message was signed more than ${TOLERANCE_S} s ago or ahead.`);
}

function refused(): ProblemError {
  return new ProblemError(401, "signature", "The message is not signed as this hook wants it.");
}

function fromHex(text: string): Bytes | undefined {
  if (!/^([0-9a-f]{2})+$/i.test(text)) return undefined;
  return Uint8Array.from(text.match(/../g)!, (byte) => Number.parseInt(byte, 16));
}

function fromBase64(text: string): Bytes | undefined {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}
