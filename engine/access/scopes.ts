/** What an API key may do. `admin` is all of them, and the only one that may name another tenant than the key's own. */
export const SCOPES = [
  "runs:read",
  "runs:write",
  "documents:read",
  "documents:write",
  "signals:write",
  "dead-letters:read",
  "dead-letters:write",
  "queues:read",
  "schedules:read",
  "schedules:write",
  "config:read",
  "config:write",
  "webhooks:read",
  "webhooks:write",
  "usage:read",
  "keys:read",
  "keys:write",
  "admin",
] as const;
/** One of `SCOPES`: what a key may do. */
export type Scope = (typeof SCOPES)[number];

/** Whether who has these scopes may do what needs that one. */
export function hasScope(held: readonly Scope[], needed: Scope): boolean {
  return held.includes("admin") || held.includes(needed);
}

/** Those of `wanted` that who has `held` lacks: nobody hands on more than they have. */
export function lackedScopes(held: readonly Scope[], wanted: readonly Scope[]): Scope[] {
  return wanted.filter((scope) => !hasScope(held, scope));
}

export function isScope(text: unknown): text is Scope {
  return (SCOPES as readonly unknown[]).includes(text);
}
