import { overdue } from "./overdue.ts";
import type { Client } from "./redis/client.ts";
import type { Graphs } from "./runs.ts";
import { StartStore } from "./store/start-store.ts";
import type { Store } from "./store.ts";
import type { Continuations } from "./timers.ts";

/** What continuations work with. */
interface Parts {
  client: Client;
  store: Store;
  graphs: Graphs;
}

/** What carries out each kind of timer row whose work is larger than a script. */
export function continuations({ client, store, graphs }: Parts): Continuations {
  return {
    overdue: overdue(new StartStore(client, store), graphs),
  };
}
