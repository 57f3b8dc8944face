import { MillraceError } from "./errors.ts";
import { type Graph, workflowVersion } from "./graph.ts";
import { graphDifference } from "./graph-diff.ts";
import { type NamespaceKeys, SCHEMA_VERSION } from "./keys.ts";
import { logger } from "./log.ts";
import { MOST_PARTITIONS } from "./partitions.ts";
import type { Client } from "./redis/client.ts";
import { pairs } from "./run-record.ts";
import { ensureGroups } from "./store/group-store.ts";

const log = logger("namespace");

/** How many partitions a namespace has on a cluster: it grows by moving their slots. */
const CLUSTER_PARTITIONS = 16;

/** What a namespace holds beside its runs: its schema version and the graphs of every workflow version. */
export class Namespace {
  readonly keys: NamespaceKeys;
  readonly #client: Client;
  #partitions = 1;

  constructor(client: Client, keys: NamespaceKeys) {
    this.#client = client;
    this.keys = keys;
  }

  /** How many partitions it has, once it is open. */
  get partitions(): number {
    return this.#partitions;
  }

  /**
   * Checks that this code knows the namespace's schema, and settles how many partitions it has. What is there already is only
   * read: over its memory limit Redis refuses writes, and a worker that starts then is what frees memory.
   *
   * @param wanted how many partitions it is to have: undefined for as many as fit the server, or as it has
   * @throws MillraceError `schema_version`, `bad_option`
   */
  async open(wanted?: number): Promise<void> {
    if (wanted !== undefined && !(Number.isInteger(wanted) && wanted >= 1 && wanted <= MOST_PARTITIONS))
      throw new MillraceError("bad_option", `partitions must be a whole number from 1 to ${MOST_PARTITIONS}`);
    const { namespace } = this.keys;
    const schema = await this.#settled(this.keys.meta(), "schema", SCHEMA_VERSION);
    if (Number(schema) !== SCHEMA_VERSION)
      throw new MillraceError(
        "schema_version",
        `Namespace ${namespace} has schema ${schema}; this code knows schema ${SCHEMA_VERSION}.`,
      );
    const fitting = wanted ?? (this.#client.isCluster ? CLUSTER_PARTITIONS : 1);
    this.#partitions = Number(await this.#settled(this.keys.meta(), "partitions", fitting));
    if (wanted !== undefined && wanted !== this.#partitions)
      throw new MillraceError(
        "bad_option",
        `Namespace ${namespace} has ${this.#partitions} partitions, which is settled by whoever opens it first.`,
      );
  }

  /**
   * Stores the graphs of the definitions and makes the groups of their steps. What is there already is only read.
   *
   * @throws MillraceError `graph_changed`
   */
  async define(graphs: readonly Graph[]): Promise<void> {
    for (const graph of graphs) await this.#openGraph(graph);
  }

  /**
   * Stores again what was lost of this, as it was when this process opened it, and the graphs of these definitions.
   *
   * @returns whether anything was
   */
  async restore(graphs: readonly Graph[]): Promise<boolean> {
    const names = graphs.map(workflowVersion);
    const [meta, served, retired] = (await this.#client.pipeline([
      ["HMGET", this.keys.meta(), "schema", "partitions"],
      ["HMGET", this.keys.graphs(), ...names],
      ["HMGET", this.keys.retired(), ...names],
    ])) as (string | null)[][];
    const lost = graphs.filter((_, i) => served![i] === null && retired![i] === null);
    if (meta!.every((value) => value !== null) && lost.length === 0) return false;
    log.warn("what the namespace holds beside its runs is gone, and is stored again");
    await this.#settled(this.keys.meta(), "schema", SCHEMA_VERSION);
    await this.#settled(this.keys.meta(), "partitions", this.#partitions);
    await this.define(lost);
    return true;
  }

  async #openGraph(graph: Graph): Promise<void> {
    const json = JSON.stringify(graph);
    const name = workflowVersion(graph);
    const served = (await this.#client.call("HGET", this.keys.graphs(), name)) as string | null;
    const earlier = served ?? ((await this.#client.call("HGET", this.keys.retired(), name)) as string | null);
    const isSame = earlier === null || earlier === json;
    const stored = isSame ? ((await this.#settled(this.keys.graphs(), name, json)) as string) : earlier;
    // It was retired, and is served again.
    if (served === null && earlier === json) await this.#client.call("HDEL", this.keys.retired(), name);
    if (stored !== json)
      throw new MillraceError(
        "graph_changed",
        `The steps of workflow ${graph.workflow} are not those that version ${graph.version} was stored with: ` +
          `${graphDifference(JSON.parse(stored), graph)}. Raise its version: runs of version ${graph.version} end on ` +
          "the steps that it was stored with.",
      );
    const partitions = Array.from({ length: this.#partitions }, (_, p) => this.keys.partition(p));
    await ensureGroups(
      this.#client,
      partitions.flatMap((keys) => graph.steps.map((step) => ({ key: keys.step(graph, step.name) }))),
    );
  }

  /** The value of a field, which is this one if there was none. */
  async #settled(key: string, field: string, value: string | number): Promise<unknown> {
    const stored = await this.#client.call("HGET", key, field);
    if (stored !== null) return stored;
    await this.#client.call("HSETNX", key, field, value);
    return this.#client.call("HGET", key, field);
  }

  /** The graphs of every workflow version that was ever served here and is not retired. */
  async graphs(): Promise<Graph[]> {
    const stored = pairs((await this.#client.call("HGETALL", this.keys.graphs())) as string[]);
    return Object.values(stored).map((json) => JSON.parse(json) as Graph);
  }

  /** Those, and of the versions that are retired. */
  async graphsWithRetired(): Promise<Graph[]> {
    const stored = await this.#client.pipeline([
      ["HGETALL", this.keys.graphs()],
      ["HGETALL", this.keys.retired()],
    ]);
    return (stored as string[][]).flatMap((flat) =>
      Object.values(pairs(flat)).map((json) => JSON.parse(json) as Graph),
    );
  }

  /** Every tenant that ever had a run. */
  async tenants(): Promise<string[]> {
    return (await this.#client.call("SMEMBERS", this.keys.tenants())) as string[];
  }

  /** The graph of a workflow version, retired or not. */
  async graph(name: string): Promise<Graph | undefined> {
    for (const key of [this.keys.graphs(), this.keys.retired()]) {
      const json = (await this.#client.call("HGET", key, name)) as string | null;
      if (json !== null) return JSON.parse(json) as Graph;
    }
    return undefined;
  }

  /** Lists a version no more. Its graph is kept for its ended runs. */
  async retire(graph: Graph): Promise<void> {
    const name = workflowVersion(graph);
    await this.#client.call("HSET", this.keys.retired(), name, JSON.stringify(graph));
    await this.#client.call("HDEL", this.keys.graphs(), name);
  }

  /** Lists a version again. */
  async bringBack(graph: Graph): Promise<void> {
    await this.#openGraph(graph);
  }

  async ping(): Promise<void> {
    await this.#client.call("PING");
  }
}
