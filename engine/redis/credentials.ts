import type { Redis } from "ioredis";
import { MillraceError, UnavailableError } from "../errors.ts";
import { logger } from "../log.ts";
import { pauseMs } from "../retry.ts";
import { bounded } from "./deadline.ts";

const log = logger("redis");

/** With what connections sign in. */
export interface RedisCredentials {
  /** Default: Redis's user `default`. */
  username?: string;
  password: string;
  /** From when on the server refuses them, and may close the connections that signed in with them. Default: never. */
  expiresAt?: Date;
}

/**
 * Says with what to sign in now. It is asked before the first connection, again after 60 to 75 % of the life that is left to
 * what it gave, and whenever the server refuses that. What it gave stays in use until it gives something else; if it fails
 * it is asked again, with growing pauses.
 */
export type CredentialsProvider = () => Promise<RedisCredentials>;

/** Not all processes at the same time, and early enough to fail a few times. */
const ASKED_AGAIN_FROM = 0.6;
const ASKED_AGAIN_TO = 0.75;
/** One that has not answered by then has failed. */
const ANSWER_WITHIN_MS = 30_000;
const RETRY_FROM_MS = 100;
const RETRY_TO_MS = 30_000;
/** A timer takes no longer time than some weeks. */
const LONGEST_WAIT_MS = 86_400_000;
const REFUSED = /^(WRONGPASS|NOAUTH)\b/;

/**
 * Keeps connections signed in:
 *
 * 1. each is opened with the newest credentials;
 * 2. when others are given, each that is open signs in again with these, at once and without being closed; behind a blocking
 *    read it waits for that;
 * 3. one that was being opened meanwhile does so as soon as it is ready.
 */
export class Login {
  readonly #provider: CredentialsProvider;
  readonly #connections = new Set<Redis>();
  /** Those that may be signed in with older ones. */
  readonly #behind = new Set<Redis>();
  #current: RedisCredentials;
  #asking: ReturnType<typeof setTimeout> | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #catchingUp: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #refusals = 0;
  #closed = false;

  private constructor(provider: CredentialsProvider, first: RedisCredentials) {
    this.#provider = provider;
    this.#current = first;
    this.#askBeforeEnd();
  }

  /** @throws UnavailableError if the provider fails */
  static async open(provider: CredentialsProvider): Promise<Login> {
    try {
      return new Login(provider, await ask(provider));
    } catch (cause) {
      throw new UnavailableError(`There are no credentials for Redis: ${textOf(cause)}`, { cause });
    }
  }

  /** What a connection is opened with now. */
  get options(): { username: string; password: string } {
    const { username = "default", password } = this.#current;
    return { username, password };
  }

  /** Looks after a connection that was opened with the newest `options`, or has yet to be. */
  keep(redis: Redis): void {
    Object.assign(redis.options, this.options);
    this.#connections.add(redis);
    redis.on("ready", () => {
      if (this.#behind.has(redis)) void this.#signIn(redis);
    });
    redis.on("error", (error: Error) => this.#see(error));
    redis.on("end", () => {
      this.#connections.delete(redis);
      this.#behind.delete(redis);
    });
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#asking);
    clearTimeout(this.#catchingUp);
  }

  async #ask(): Promise<void> {
    this.#dueAt = Number.POSITIVE_INFINITY;
    let given: RedisCredentials;
    try {
      given = await ask(this.#provider);
    } catch (error) {
      this.#failures += 1;
      log.warn("no new credentials for Redis, which are asked for again: {error}", { error });
      this.#askIn(pauseMs(this.#failures, RETRY_FROM_MS, RETRY_TO_MS));
      return;
    }
    if (this.#closed) return;
    this.#failures = 0;
    const { username, password } = this.#current;
    this.#current = given;
    // Some give the same until shortly before its end.
    if (given.username !== username || given.password !== password) this.#renew();
    this.#askBeforeEnd();
  }

  #renew(): void {
    this.#refusals = 0;
    for (const redis of this.#connections) {
      Object.assign(redis.options, this.options);
      this.#behind.add(redis);
      if (redis.status === "ready") void this.#signIn(redis);
    }
  }

  async #signIn(redis: Redis): Promise<void> {
    const { username, password } = this.options;
    this.#behind.delete(redis);
    try {
      await redis.auth(username, password);
    } catch (error) {
      // One that is not open any more signs in when it is opened. With others, it was or is asked to anew.
      if (this.#closed || redis.status !== "ready" || password !== this.#current.password) return;
      log.warn("signing in again failed, and is tried again: {error}", { error });
      this.#see(error);
      this.#behind.add(redis);
      this.#catchUp();
    }
  }

  /** A server may take a moment to know of new credentials. */
  #catchUp(): void {
    clearTimeout(this.#catchingUp);
    this.#catchingUp = setTimeout(() => {
      for (const redis of this.#behind) if (redis.status === "ready") void this.#signIn(redis);
    }, RETRY_FROM_MS);
  }

  #see(error: unknown): void {
    if (!REFUSED.test(textOf(error))) return;
    this.#refusals += 1;
    this.#askIn(pauseMs(this.#refusals, RETRY_FROM_MS, RETRY_TO_MS));
  }

  #askBeforeEnd(): void {
    const { expiresAt } = this.#current;
    if (expiresAt === undefined) return;
    const share = ASKED_AGAIN_FROM + Math.random() * (ASKED_AGAIN_TO - ASKED_AGAIN_FROM);
    this.#askIn(Math.max(RETRY_FROM_MS, share * (expiresAt.getTime() - Date.now())));
  }

  /** Asks within that time. */
  #askIn(ms: number): void {
    const waitMs = Math.min(ms, LONGEST_WAIT_MS);
    const dueAt = performance.now() + waitMs;
    if (this.#closed || dueAt >= this.#dueAt) return;
    this.#dueAt = dueAt;
    clearTimeout(this.#asking);
    this.#asking = setTimeout(() => void this.#ask(), waitMs);
  }
}

async function ask(provider: CredentialsProvider): Promise<RedisCredentials> {
  // One that throws before it gives a promise fails like any other.
  const given = await bounded(
    Promise.resolve().then(provider),
    ANSWER_WITHIN_MS,
    "The provider of credentials did not answer",
  );
  if (typeof given?.password !== "string" || given.password === "")
    throw new MillraceError("bad_credentials", "The provider of credentials gave no password.");
  if (given.expiresAt !== undefined && Number.isNaN(given.expiresAt.getTime()))
    throw new MillraceError("bad_credentials", "The provider of credentials gave an invalid date.");
  return given;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
