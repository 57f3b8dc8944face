import type { Client, ListState, RunFilter, RunState, Store } from "../index.ts";
import type { Watched } from "../store.ts";

/** What components show of a gateway. */
export type Watchable = { run: string } | { list: RunFilter };

interface Entry {
  store: Store<Watched>;
  components: number;
  leave(): void;
}

/** How a run stands before anything is known of it. */
export const NO_RUN: RunState = { run: undefined, emitted: {}, connection: "connecting", error: undefined };
/** How a list stands before anything is known of it. */
export const NO_RUNS: ListState = { runs: undefined, next: undefined, connection: "connecting", error: undefined };
const ofClients = new WeakMap<Client, Shared>();

/** The stores that the components of one client share: each is there for as long as a component shows it. */
export class Shared {
  readonly #client: Client;
  readonly #entries = new Map<string, Entry>();

  private constructor(client: Client) {
    this.#client = client;
  }

  static of(client: Client): Shared {
    const shared = ofClients.get(client) ?? new Shared(client);
    ofClients.set(client, shared);
    return shared;
  }

  /** How it stands; undefined if no component shows it. @param key JSON of what is shown */
  stateOf(key: string): Watched | undefined {
    return this.#entries.get(key)?.store.getSnapshot();
  }

  /** @param key JSON of what is shown @returns ends it */
  subscribe(key: string, listener: () => void): () => void {
    const entry = this.#entries.get(key) ?? this.#open(key);
    const leave = entry.store.subscribe(listener);
    entry.components += 1;
    return () => {
      leave();
      entry.components -= 1;
      // One that shows the same may come in its place, as each does once more in StrictMode.
      if (entry.components === 0) setTimeout(() => this.#close(key, entry));
    };
  }

  #open(key: string): Entry {
    const store = this.#storeOf(JSON.parse(key) as Watchable);
    const entry = { store, components: 0, leave: store.subscribe(() => {}) };
    this.#entries.set(key, entry);
    return entry;
  }

  #close(key: string, entry: Entry): void {
    if (entry.components > 0 || this.#entries.get(key) !== entry) return;
    this.#entries.delete(key);
    entry.leave();
  }

  #storeOf(what: Watchable): Store<Watched> {
    try {
      return "run" in what ? this.#client.run(what.run).store() : this.#client.listStore(what.list);
    } catch (error) {
      // What is no id, say, is no reason to take the page down.
      const state: Watched = { ...("run" in what ? NO_RUN : NO_RUNS), connection: "ended", error };
      return { subscribe: () => () => {}, getSnapshot: () => state };
    }
  }
}
