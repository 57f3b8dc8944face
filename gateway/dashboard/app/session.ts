import { signal } from "@preact/signals";
import type { Scope } from "../../../engine/index.ts";
import { Http } from "../../client/http.ts";
import { type Client, ClientError, createClient } from "../../client/index.ts";

const STORED = "millrace.key";
const ORIGIN = location.origin;

/** Whether this page is let in: it asks, is, is not, or cannot find out. */
export type Access = "asking" | "in" | "out" | "away";
export const access = signal<Access>("asking");
/** Why it is not. */
export const refusal = signal<unknown>(undefined);
/** The key that it came in with; none where everybody is let in. Gone with the tab. */
export const key = signal(sessionStorage.getItem(STORED) ?? undefined);

/** Whose everything is that is made here, and what may be done. */
export const caller = signal<{ tenant: string; scopes: readonly string[] } | undefined>(undefined);

/** Whether this may be done here. */
export function may(scope: Scope): boolean {
  return caller.value?.scopes.includes(scope) === true;
}

let http = new Http(ORIGIN, key.peek(), fetch.bind(globalThis));
let client = newClient();

function newClient(): Client {
  const own = key.peek();
  // Sockets are for origins that were listed: what a page is said to be from, its Host alone says, and that can be made up.
  const options = { url: ORIGIN, transport: "sse", fetch: fetch.bind(globalThis) } as const;
  return createClient(own === undefined ? options : { ...options, key: own });
}

/** What asks the gateway, as whoever has signed in. */
export const gateway = {
  get http(): Http {
    return http;
  },
  get client(): Client {
    return client;
  },
};

/** Finds out whether the gateway lets this page in, and what to. */
export async function enter(): Promise<void> {
  access.value = "asking";
  try {
    caller.value = await http.json("/v1/caller", { tries: 2 });
    access.value = "in";
  } catch (error) {
    const status = error instanceof ClientError ? error.status : undefined;
    if (status === 401) leave(key.peek() === undefined ? undefined : error);
    else {
      refusal.value = error;
      access.value = "away";
    }
  }
}

/** @param secret an API key, or a token of the gateway's issuer */
export async function signIn(secret: string): Promise<void> {
  hold(secret);
  await enter();
}

/** Forgets the key, and ends all that was open with it. @param reason an error, if it was not wanted */
export function leave(reason?: unknown): void {
  hold(undefined);
  refusal.value = reason;
  access.value = "out";
}

function hold(secret: string | undefined): void {
  if (secret === undefined) sessionStorage.removeItem(STORED);
  else sessionStorage.setItem(STORED, secret);
  key.value = secret;
  client.close();
  http = new Http(ORIGIN, secret, fetch.bind(globalThis));
  client = newClient();
}
