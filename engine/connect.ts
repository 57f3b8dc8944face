import { accessOf } from "./access/access.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import { noBlobs } from "./blobs/no-blobs.ts";
import { Broadcast } from "./broadcast.ts";
import type { Bulk } from "./bulk.ts";
import { checkCollection, StoredCollection } from "./collections.ts";
import { Config } from "./config.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Deletion } from "./deletion.ts";
import { givenBy, type WantedDurability, wantedOf } from "./durability.ts";
import { DefinitionError, MillraceError, NotFoundError } from "./errors.ts";
import type { FeedFilter } from "./firehose/feed.ts";
import { Hub } from "./firehose/hub.ts";
import { liveRuns } from "./firehose/live-runs.ts";
import { watchAll } from "./firehose/watch-all.ts";
import { follow } from "./follow.ts";
import { checkGraph, type Graph, workflowVersion } from "./graph.ts";
import { newId } from "./ids.ts";
import { invalidate, onInvalidate } from "./invalidation.ts";
import { NamespaceKeys, type PartitionKeys } from "./keys.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { ConnectOptions, Millrace, RunsApi } from "./millrace.ts";
import { Namespace } from "./namespace.ts";
import { Pauses } from "./pauses.ts";
import { watch } from "./progress.ts";
import { queuesOf, sumQueues } from "./queues.ts";
import { workerViews } from "./read-health.ts";
import { Records } from "./records.ts";
import { checkCapabilities } from "./redis/capabilities.ts";
import { Client, type Link } from "./redis/client.ts";
import { Connections } from "./redis/connections.ts";
import type { HearingHealth, Subscriber } from "./redis/subscriber.ts";
import { Waits } from "./redis/waits.ts";
import { Requests } from "./requests.ts";
import { ResultCache } from "./result-cache.ts";
import { DEFAULT_TENANT, type Graphs, Runs } from "./runs.ts";
import { Schedules } from "./schedules/schedules.ts";
import { Ticks } from "./schedules/ticks.ts";
import { checkSpread } from "./spread.ts";
import { BroadcastStore } from "./store/broadcast-store.ts";
import { CollectionStore } from "./store/collection-store.ts";
import { Confirmations } from "./store/confirmations.ts";
import { DeletionStore } from "./store/deletion-store.ts";
import { FirehoseStore } from "./store/firehose-store.ts";
import { LaneStore } from "./store/lane-store.ts";
import { OperationStore } from "./store/operation-store.ts";
import { PauseStore } from "./store/pause-store.ts";
import { RequestStore } from "./store/request-store.ts";
import { RerunStore } from "./store/rerun-store.ts";
import { ScheduleStore } from "./store/schedule-store.ts";
import { StartStore } from "./store/start-store.ts";
import { SubscriptionStore } from "./store/subscription-store.ts";
import { UploadStore } from "./store/upload-store.ts";
import { Store } from "./store.ts";
import { type RunningConsumer, subscribe as subscribeTo } from "./subscriptions/subscribe.ts";
import { Subscriptions } from "./subscriptions/subscriptions.ts";
import { Uploads } from "./uploads/uploads.ts";
import { usageSums } from "./usage-sums.ts";
import { Values } from "./values.ts";
import { versionsOperations } from "./versions-operations.ts";
import type { Durability, QueueView } from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** What a worker needs of a connection beside its public face. */
interface Internals {
  client: Client;
  store: Store;
  lanes: LaneStore;
  records: Records;
  blobs: BlobStore;
  deletion: Deletion;
  bulk: Bulk;
  /** Of every workflow version that was ever served here. */
  allGraphs: () => Promise<Graph[]>;
  values: Values;
  runs: RunsApi;
  starts: StartStore;
  graphs: Graphs;
  /** Every version of every definition. */
  definitions: readonly AnyWorkflow[];
  openReader: (keys: PartitionKeys) => Promise<Client>;
  /** Ends a blocking read of such a connection, by its id. True if there was one. */
  unblock: (keys: PartitionKeys, connection: number) => Promise<boolean>;
  subscriber: () => Subscriber;
  config: Config;
  cache: ResultCache;
  ticks: Ticks;
  uploads: Uploads;
  /** Those of its subscriptions. */
  consumers: ReadonlySet<RunningConsumer>;
  schedules: ScheduleStore;
  /** The graph of a version that is stored, or that this process has. */
  knownGraph: (workflow: string, version: number) => Promise<Graph | undefined>;
  /** Stores again what is lost of what the namespace holds beside its runs. True if anything was. */
  restore: () => Promise<boolean>;
}

const internals = new WeakMap<Millrace, Internals>();

export function internalsOf(millrace: Millrace): Internals {
  const found = internals.get(millrace);
  if (found === undefined) throw new MillraceError("not_connected", "This is not a connection that connect() made.");
  return found;
}

/**
 * Connects to Redis, checks that this code knows what the namespace holds, and stores the graphs of the definitions.
 *
 * @throws DefinitionError for definitions that do not go together; MillraceError `bad_redis_url`, `schema_version`,
 *   `graph_changed`, `bad_option`, `redis_version`, `eviction_policy`, `durability` if the server cannot do what is asked for;
 *   UnavailableError
 */
export function connect(options: ConnectOptions): Promise<Millrace> {
  return connectBy((link) => new Client(link), options);
}

/** As `connect`, with calls made by the client that `makeClient` makes. */
export async function connectBy(makeClient: (link: Link) => Client, options: ConnectOptions): Promise<Millrace> {
  const { url, namespace = "millrace", blobs = noBlobs, credentials } = options;
  const definitions = withChildren(options.workflows);
  const workflows = newestOf(definitions);
  const names = new NamespaceKeys(namespace);
  const beatChannel = names.heard(newId());
  const connections = await Connections.open(url, `millrace:${namespace}`, { credentials, beatChannel });
  const client = makeClient(connections.link);
  const space = new Namespace(client, names);
  let given: Durability;
  let waiting: { wanted: WantedDurability; waits: Waits } | undefined;
  try {
    const known = await checkCapabilities(client);
    given = givenBy(known);
    const wanted = await wantedOf(options.durability, known, (...call) =>
      Promise.all(client.masters().map((master) => master.call(...call))),
    );
    if (wanted !== undefined)
      waiting = { wanted, waits: new Waits(makeClient(await connections.waiting()), wanted.wait) };
    await space.open(options.partitions);
    checkSpread(definitions, space.partitions);
    await space.define(definitions.map((workflow) => workflow.graph));
  } catch (error) {
    connections.close();
    throw error;
  }
  const store = new Store(client, space.keys, space.partitions);
  const records = new Records(client, store);
  const graphs = graphsOf(space, definitions);
  const starts = new StartStore(client, store);
  const values = new Values(store, blobs);
  const pauses = new Pauses(
    store.allPartitions.map((keys) => new PauseStore(client, keys)),
    () => space.graphs(),
  );
  const lanes = new LaneStore(client);
  const deletion = new Deletion(new DeletionStore(client, store), blobs);
  const deadLetters = new DeadLetters({
    ...{ store, records, graphs, values, definitions },
    operations: new OperationStore(client, store.partitions),
  });
  const memory = new MemoryWatch((keys) => connections.info(keys.workers(), "memory"));
  const runs = new Runs({
    ...{ memory, store, lanes, pauses, starts, records, values, workflows, definitions, graphs, deletion },
    reruns: new RerunStore(client, store),
    listed: () => space.graphs(),
    confirmations: new Confirmations(client, store, given, waiting),
  });
  const schedules = new ScheduleStore(client, store.partitions);
  const uploads = new Uploads(new UploadStore(client, store.partitions), blobs);

  // What a partition holds beside its runs is in the slot of all of it.
  const reader = (keys: PartitionKeys) => connections.reader(keys.workers());
  const unblock = (keys: PartitionKeys, connection: number) => connections.unblock(keys.workers(), connection);
  const subscriber = () => connections.subscriber();
  const broadcast = new Broadcast(new BroadcastStore(client, space.keys), subscriber);
  const config = new Config(broadcast);
  const cache = new ResultCache(broadcast);
  const firehose = new FirehoseStore(client, store);
  const watching = {
    ...{ store, firehose, hub: new Hub(firehose, subscriber, space.keys) },
    view: (run: string, tenant: string) => runs.get(run, { tenant }),
    liveRuns: (filter: FeedFilter) => liveRuns(runs, filter),
  };
  const access = accessOf(client, store, records, subscriber);
  const queuesNow = () => queues(client, space, store, records);
  const subscriptionStores = store.allPartitions.map((keys) => new SubscriptionStore(client, keys));
  const subscriptions = new Subscriptions(subscriptionStores, records);
  const consumers = new Set<RunningConsumer>();
  const millrace: Millrace = {
    workflows,
    blobs,
    uploads,
    requests: new Requests(new RequestStore(client, store.partitions), store, memory),
    runs,
    deadLetters,
    pause: (what) => pauses.pause(what),
    resume: (what) => pauses.resume(what),
    paused: () => pauses.paused(),
    access,
    config,
    invalidate: (topic, subject) => invalidate(broadcast, topic, subject),
    onInvalidate: (topic, listener) => onInvalidate(broadcast, topic, listener),
    schedules: new Schedules({ schedules, store, records, runs, workflows }),
    collection: (name) => new StoredCollection(new CollectionStore(client, space.keys, checkCollection(name))),
    subscriptions,
    subscribe: (options, handler) => {
      const parts = { stores: subscriptionStores, subscriptions, running: consumers, connect: reader, unblock };
      return subscribeTo(parts, options, handler);
    },
    queues: queuesNow,
    workers: async () => workerViews((await Promise.all(store.allPartitions.map((k) => records.workers(k)))).flat()),
    ...versionsOperations({
      ...{ client, store, lanes, records, space, values, runs, graphs, workflows, definitions },
      queues: queuesNow,
    }),
    usage: (query = {}) => usageSums(client, store.allPartitions, query),
    watch: (run, { tenant = DEFAULT_TENANT, ...rest } = {}) =>
      watch(store, subscriber, { run, tenant }, { ...rest, snapshot: () => runs.get(run, { tenant }) }),
    follow: (run, { tenant = DEFAULT_TENANT, ...rest }) =>
      follow(store, subscriber(), { run, tenant }, { ...rest, snapshot: () => runs.get(run, { tenant }) }),
    watchAll: ({ tenant = DEFAULT_TENANT, ...rest } = {}) => watchAll(watching, { tenant, ...rest }),
    onConnection: (listener) => subscriber().follow(listener),
    hears: () => isHearing(subscriber().health),
    ping: () => space.ping(),
    close: async () => {
      await Promise.all([...consumers].map((consumer) => consumer.stop()));
      connections.close();
      await Promise.all([broadcast.stop(), access.stop()]);
    },
  };
  internals.set(millrace, {
    ...{ client, store, lanes, records, blobs, values, runs, starts, graphs, deletion, bulk: deadLetters.bulk },
    ...{ definitions, subscriber, config, cache, consumers, schedules, uploads },
    restore: () => space.restore(definitions.map((workflow) => workflow.graph)),
    knownGraph: async (workflow, version) => {
      try {
        return await graphs.of(workflow, version);
      } catch (error) {
        if (error instanceof NotFoundError) return undefined;
        throw error;
      }
    },
    ticks: new Ticks({ namespace, schedules, runs, workflows, quotas: access.quotas }),
    allGraphs: () => space.graphsWithRetired(),
    openReader: reader,
    unblock,
  });
  return millrace;
}

async function queues(client: Client, space: Namespace, store: Store, records: Records): Promise<QueueView[]> {
  const graphs = await space.graphs();
  graphs.sort((a, b) => (a.workflow === b.workflow ? a.version - b.version : a.workflow < b.workflow ? -1 : 1));
  const parts = await Promise.all(store.allPartitions.map((keys) => queuesOf(client, records, graphs, keys)));
  return sumQueues(parts);
}

/** It publishes to itself every 2.5 s, and replaces a connection that does not hear that twice. */
const HEARD_WITHIN_MS = 10_000;

function isHearing({ isHearing, silentMs }: HearingHealth): boolean {
  return isHearing && silentMs < HEARD_WITHIN_MS;
}

/** With the workflows that steps of these start. */
function withChildren(definitions: readonly AnyWorkflow[]): AnyWorkflow[] {
  const all = new Set(definitions);
  // What is added while it goes on is come to as well.
  for (const { steps } of all)
    for (const { work } of steps) if ("child" in work && work.child !== undefined) all.add(work.child.workflow);
  return [...all];
}

function newestOf(definitions: readonly AnyWorkflow[]): Map<string, AnyWorkflow> {
  const newest = new Map<string, AnyWorkflow>();
  for (const workflow of definitions) {
    const where = `Workflow ${JSON.stringify(workflow.name)}`;
    checkGraph(workflow.graph);
    if (workflow.steps.length === 0) throw new DefinitionError(`${where} has no steps`);
    if (
      definitions.some((each) => each !== workflow && each.name === workflow.name && each.version === workflow.version)
    )
      throw new DefinitionError(`${where} has version ${workflow.version} twice`);
    const known = newest.get(workflow.name);
    if (known === undefined || known.version < workflow.version) newest.set(workflow.name, workflow);
  }
  return newest;
}

function graphsOf(space: Namespace, definitions: readonly AnyWorkflow[]): Graphs {
  const known = new Map(definitions.map(({ graph }) => [workflowVersion(graph), graph]));
  return {
    async of(workflow: string, version: number): Promise<Graph> {
      const name = workflowVersion({ workflow, version });
      const graph = known.get(name) ?? (await space.graph(name));
      if (graph === undefined) throw new NotFoundError("workflow version", name);
      known.set(name, graph);
      return graph;
    },
  };
}
