import type { Millrace } from "../engine/index.ts";
import type { Door } from "../gateway/access/caller.ts";
import { jwtVerifier } from "../gateway/access/jwt.ts";
import { keyDoor } from "../gateway/access/key-door.ts";
import { isLoopback } from "../gateway/access/open-door.ts";
import { UsageError } from "./errors.ts";
import type { Settings } from "./settings.ts";

/** Who the gateway lets in: who has a key, or a token of the issuer that is set. @throws UsageError */
export function doorOf(millrace: Millrace, { jwt }: Settings): Door {
  return keyDoor(millrace.access, jwt === undefined ? {} : { jwt: jwtVerifier([jwt]) });
}

/** Where everybody is let in, only this machine may come. @throws UsageError */
export function requireLoopback(host: string): void {
  const name = host.includes(":") ? `[${host}]` : host;
  if (isLoopback(name)) return;
  throw new UsageError(
    `millrace dev lets everybody in, and so listens on this machine only, not on ${host}. For others, start millrace gateway and millrace worker, and make keys with millrace keys.`,
  );
}
