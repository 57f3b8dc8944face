import { logger } from "./log.ts";
import type { Subscriber } from "./redis/subscriber.ts";

const log = logger("bell");

/**
 * Hears into which streams of a partition something was put, for a worker that serves too many to block on all of them. It is
 * a nudge and no more: what is missed is found by who looks at all streams now and then.
 */
export class Bell {
  readonly #leave: () => void;
  #rung = new Set<string>();
  #missed = true;

  /** @param onRing called whenever there is something to take */
  constructor(subscriber: Subscriber, channel: string, onRing: () => void) {
    const missed = () => {
      this.#missed = true;
      onRing();
    };
    const { heard, leave } = subscriber.listen(channel, {
      message: (stream) => {
        this.#rung.add(stream);
        onRing();
      },
      missed,
    });
    this.#leave = leave;
    heard.then(missed, (error) =>
      log.warn("streams are looked at every now and then alone for now: {error}", { error }),
    );
  }

  get hasRung(): boolean {
    return this.#missed || this.#rung.size > 0;
  }

  /** The keys of the streams for which it rang since this was asked last; undefined if it may have rung for any. */
  take(): ReadonlySet<string> | undefined {
    const rung = this.#missed ? undefined : this.#rung;
    this.#missed = false;
    this.#rung = new Set();
    return rung;
  }

  close(): void {
    this.#leave();
  }
}
