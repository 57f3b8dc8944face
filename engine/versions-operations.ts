import { migrate } from "./migrate.ts";
import type { RunsApi } from "./millrace.ts";
import type { Namespace } from "./namespace.ts";
import type { Records } from "./records.ts";
import type { Client } from "./redis/client.ts";
import { retireVersion } from "./retire-version.ts";
import { DEFAULT_TENANT, type Graphs } from "./runs.ts";
import type { LaneStore } from "./store/lane-store.ts";
import { MigrationStore } from "./store/migration-store.ts";
import { VersionStore } from "./store/version-store.ts";
import type { Store } from "./store.ts";
import type { Values } from "./values.ts";
import { versionsOf } from "./versions.ts";
import type { VersionsApi } from "./versions-api.ts";
import type { QueueView } from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

export interface VersionsOperationsParts {
  client: Client;
  store: Store;
  lanes: LaneStore;
  records: Records;
  space: Namespace;
  values: Values;
  runs: RunsApi;
  graphs: Graphs;
  workflows: ReadonlyMap<string, AnyWorkflow>;
  definitions: readonly AnyWorkflow[];
  queues(): Promise<QueueView[]>;
}

/** What a connection can do with the versions of workflows. */
export function versionsOperations(parts: VersionsOperationsParts): VersionsApi {
  const { client, store, space } = parts;
  const versions = store.allPartitions.map((keys) => new VersionStore(client, keys));
  const migrations = new MigrationStore(client, store);
  const listed = () => space.graphs();
  return {
    versions: ({ workflow, tenant = DEFAULT_TENANT } = {}) =>
      versionsOf({ ...parts, graphs: listed }, { workflow, tenant }),
    migrate: (options, decide) => migrate({ ...parts, migrations, listed }, options, decide as never),
    retireVersion: (workflow, version) => retireVersion({ ...parts, versions }, workflow, version),
  };
}
