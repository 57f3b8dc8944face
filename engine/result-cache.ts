import type { Broadcast } from "./broadcast.ts";
import { checkSubject, checkTopic } from "./invalidation.ts";
import { encodeValue } from "./payload.ts";
import type { CachedResult } from "./step.ts";

/** One process keeps so many results, of so many characters of JSON in all, and none longer than the last. */
const MOST_RESULTS = 1_000;
const MOST_CHARACTERS = 16_777_216;
const LONGEST = 1_048_576;

interface Kept {
  topic: string;
  subject: string;
  json: string;
}

/**
 * Results that the handlers of this process remember, the least recently used given up first. `millrace.invalidate` drops a
 * topic's, or those of one subject in it, in every process; a process that cannot know whether that was done uses none.
 */
export class ResultCache {
  readonly #broadcast: Broadcast;
  readonly #kept = new Map<string, Kept>();
  /** By topic, how often something of it was dropped: what was computed meanwhile may be of before. */
  readonly #drops = new Map<string, number>();
  #characters = 0;

  constructor(broadcast: Broadcast) {
    this.#broadcast = broadcast;
    broadcast.onTopic((topic, subject) => this.#drop(topic, subject));
  }

  /** @throws InvalidInputError for a topic or subject that `invalidate` would not take */
  result<T>(topic: string, subject: string, key: string): CachedResult<T> {
    checkTopic(topic);
    checkSubject(subject);
    const id = JSON.stringify([topic, subject, key]);
    const kept = this.#broadcast.fresh ? this.#kept.get(id) : undefined;
    if (kept !== undefined) {
      this.#remove(id);
      this.#add(id, kept);
    }
    const drops = this.#drops.get(topic);
    return {
      value: kept === undefined ? undefined : (JSON.parse(kept.json) as T),
      keep: (value) => {
        if (this.#drops.get(topic) === drops) this.#add(id, { topic, subject, json: encodeValue(value) });
      },
    };
  }

  #add(id: string, kept: Kept): void {
    this.#remove(id);
    if (kept.json.length > LONGEST) return;
    this.#kept.set(id, kept);
    this.#characters += kept.json.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST_RESULTS && this.#characters <= MOST_CHARACTERS) return;
      this.#remove(oldest);
    }
  }

  #remove(id: string): void {
    this.#characters -= this.#kept.get(id)?.json.length ?? 0;
    this.#kept.delete(id);
  }

  #drop(topic: string, subject: string | undefined): void {
    this.#drops.set(topic, (this.#drops.get(topic) ?? 0) + 1);
    for (const [id, kept] of this.#kept)
      if (kept.topic === topic && (subject ?? kept.subject) === kept.subject) this.#remove(id);
  }
}
