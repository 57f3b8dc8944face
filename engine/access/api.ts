import type { Draw } from "../draw.ts";
import type { Page, PageOptions } from "../views.ts";
import type { Scope } from "./scopes.ts";

/** So many requests at once, and as many again evenly over each window. */
export interface RateLimit {
  /** 1 to 1,000,000. */
  requests: number;
  /** 1,000 to 86,400,000. */
  windowMs: number;
}

/** What a key may start in a UTC day. */
export interface Quota {
  /** 1 to 1,000,000,000. */
  runsPerDay?: number;
}

/** What an API key may do, and until when. */
export interface CreateKeyOptions {
  /** Whose everything is that it makes. Default `default`. */
  tenant?: string;
  /** For people: 1 to 100 characters, none of them control. */
  name: string;
  /** What it may do: at least one. */
  scopes: readonly Scope[];
  /** From then on it does not work. Default: never. */
  expiresAt?: Date;
  rateLimit?: RateLimit;
  quota?: Quota;
}

/** An API key as lists show it: never its secret, nor what is stored of that. Times are ISO 8601. */
export interface KeyView {
  id: string;
  tenant: string;
  name: string;
  status: "active" | "expired" | "revoked";
  scopes: Scope[];
  createdAt: string;
  expiresAt?: string;
  /** When it was last given another secret. */
  rotatedAt?: string;
  /** Until when the secret before that works too. */
  previousUntil?: string;
  revokedAt?: string;
  /** Up to a minute behind. */
  lastUsedAt?: string;
  rateLimit?: RateLimit;
  quota?: Quota;
}

/** A key with its new secret, which is in no other place: whoever made it shows it once. */
export interface KeyWithSecret extends KeyView {
  /** `mr_ID_RANDOM`, 88 characters of `a-z 0-9 _`. */
  secret: string;
}

/** Whose a secret is that was verified. */
export interface VerifiedKey {
  id: string;
  tenant: string;
  name: string;
  scopes: readonly Scope[];
  /** Which of the key's secrets it was: 1 for the first, one more with each rotation. */
  secretNumber: number;
  /** When this secret stops working, as is known now: the key expires, or was rotated. ISO 8601. */
  endsAt?: string;
  rateLimit?: RateLimit;
  quota?: Quota;
}

/** Why a secret does not work any more. */
export type KeyEnd = "revoked" | "expired" | "rotated";

/**
 * The API keys of a namespace. Of a secret only its SHA-256 digest is stored. Without a `tenant`, these are about the keys of
 * all tenants; with one, another tenant's key is not there.
 */
export interface KeysApi {
  /**
   * @param draw with which it is the same key another time
   * @throws InvalidInputError; ConflictError `too_many_keys` past 1,000 of a tenant, `id_taken` if what was made with the draw has
   *   another secret by now; UnavailableError
   */
  create(options: CreateKeyOptions, draw?: Draw): Promise<KeyWithSecret>;
  /** @throws NotFoundError, UnavailableError */
  get(id: string, options?: { tenant?: string }): Promise<KeyView>;
  /** Newest first; revoked and expired ones for 30 days. @throws InvalidInputError for a bad cursor or limit, UnavailableError */
  list(options?: { tenant?: string } & PageOptions): Promise<Page<KeyView>>;
  /**
   * Gives a key a new secret. The one before works for `overlapMs` more (default a day, 30 days at the most; 0: no longer); one
   * before that stops at once.
   *
   * @param options `expiresAt`: another end of the key; default: as it was
   * @param draw with which it is the same secret another time
   * @throws NotFoundError; ConflictError `key_ended` if it was revoked or has expired; InvalidInputError; UnavailableError
   */
  rotate(
    id: string,
    options?: { tenant?: string; overlapMs?: number; expiresAt?: Date },
    draw?: Draw,
  ): Promise<KeyWithSecret>;
  /** Its secrets work no more: at once where processes hear of it, everywhere within 10 s. Twice is fine. @throws NotFoundError, UnavailableError */
  revoke(id: string, options?: { tenant?: string }): Promise<KeyView>;
  /**
   * The key that a secret is of; undefined for a text that is no secret of a key that works. What is stored is read at most
   * every 4 s by each process and key, and at once after a rotation or revocation.
   *
   * @throws UnavailableError: whoever asks lets nobody in then
   */
  verify(secret: string): Promise<VerifiedKey | undefined>;
  /**
   * Calls `listener` once when that secret of a key works no more: for what outlives the request that it was verified for, such
   * as a socket. Within 10 s, also if the process missed to hear of it. While Redis is away nothing is known, and nobody told.
   *
   * @returns stops it; to be called when the socket is closed
   */
  onEnd(key: Pick<VerifiedKey, "id" | "secretNumber">, listener: (why: KeyEnd) => void): () => void;
}

/** What a ticket lets a page do, and for how long. */
export interface IssueTicketOptions {
  /** Default `default`. */
  tenant?: string;
  /** Which runs may be watched: 1 to 100 ids. Give these or `workflows`. */
  runs?: readonly string[];
  /** All runs of these workflows, 1 to 20 names. */
  workflows?: readonly string[];
  /** Whether signals may be sent to them, too. Default false. */
  canSignal?: boolean;
  /** How long it may be redeemed: 1,000 to 3,600,000; default 60,000. */
  ttlMs?: number;
  /** The key that it is asked for with: it does not outlive that. */
  key?: Pick<VerifiedKey, "id" | "secretNumber">;
}

/** What a ticket lets a browser do. */
export interface Ticket {
  tenant: string;
  runs?: string[];
  workflows?: string[];
  canSignal: boolean;
  key?: Pick<VerifiedKey, "id" | "secretNumber">;
}

/** Tickets: what a page is given in place of a key, for one socket or stream. */
export interface TicketsApi {
  /**
   * @param draw with which it is the same ticket another time
   * @returns `ticket`: `mrt_RANDOM`; `expiresAt`: ISO 8601
   * @throws InvalidInputError, UnavailableError
   */
  issue(options: IssueTicketOptions, draw?: Draw): Promise<{ ticket: string; expiresAt: string }>;
  /** What it is for, the first time and before it expires; else undefined. @throws UnavailableError */
  redeem(ticket: string): Promise<Ticket | undefined>;
}

/** How a limit stands: the figures of the headers `RateLimit` and `Retry-After`. */
export interface Taken {
  /** Whether it was taken. If not, nothing was. */
  allowed: boolean;
  limit: number;
  /** How many could be taken now. */
  remaining: number;
  /** In how many ms there will be as many as there can be. */
  resetMs: number;
  /** In how many ms as many could be taken as were asked for; 0 if they were. */
  retryAfterMs: number;
}

/** Limits that hold over all processes. */
export interface RateLimitsApi {
  /**
   * Takes `cost` (default 1; 0 only looks) of what a key may have by its limit: `requests` at once, and as many again evenly
   * over each window.
   *
   * @param key 1 to 200 characters: whose limit it is
   * @throws InvalidInputError; UnavailableError: nothing is let through then
   */
  take(key: string, limit: RateLimit, cost?: number): Promise<Taken>;
}

/** Counts that hold over all processes, and begin anew with each UTC day. */
export interface QuotasApi {
  /**
   * Takes `count` (default 1; 0 only looks) of what a key may have in a day.
   *
   * @returns also `day`, for `giveBack`
   * @throws InvalidInputError; UnavailableError: nothing is let through then
   */
  takeOfDay(key: string, perDay: number, count?: number): Promise<Taken & { day: number }>;
  /**
   * Counts a start of something: one that does not come about, or was there already, does not count.
   *
   * @returns what `start` gave; or how the quota stands, if it is used up and nothing was started
   * @throws what `start` throws; InvalidInputError; UnavailableError
   */
  counted<T extends { created: boolean }>(
    key: string,
    perDay: number,
    start: () => Promise<T>,
  ): Promise<{ started: T } | { refused: Taken }>;
  /** Gives back what was taken for something that did not come about, if it is still that day. @throws UnavailableError */
  giveBack(key: string, taken: { day: number }, count?: number): Promise<void>;
}

/** Who may use the engine from outside, and how much. */
export interface AccessApi {
  readonly keys: KeysApi;
  readonly tickets: TicketsApi;
  readonly rateLimits: RateLimitsApi;
  readonly quotas: QuotasApi;
}
