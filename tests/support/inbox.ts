import type { SubscribedEvent } from "../../engine/index.ts";

/** What a handler of a test was given, and a way to wait for more of it. */
export class Inbox {
  readonly events: SubscribedEvent[] = [];
  #arrived = Promise.withResolvers<void>();

  /** For the handler. */
  add(event: SubscribedEvent): void {
    this.events.push(event);
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }

  /** `TYPE` or `TYPE STEP` of each event, of one run if that is said. */
  said(run?: string): string[] {
    return this.events
      .filter((event) => run === undefined || event.run === run)
      .map(({ type, step }) => (step === undefined ? type : `${type} ${step}`));
  }

  /** Resolves once there are so many. */
  async until(count: number, ms = 20_000): Promise<SubscribedEvent[]> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.events.length} of ${count} events: ${this.said()}`)), ms);
    });
    try {
      while (this.events.length < count) await Promise.race([this.#arrived.promise, late]);
    } finally {
      clearTimeout(timer);
    }
    return this.events;
  }
}
