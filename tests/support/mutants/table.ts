/** A change that takes one rule out of the engine, and the tests that must not pass without it. */
export interface Mutant {
  name: string;
  file: string;
  /** Must be there exactly once. */
  search: string;
  replace: string;
  /** Which tests, as a pattern of their names, and the files that they are in. */
  tests: RegExp;
  in: readonly string[];
}

const scripts = (name: string) => `engine/scripts/${name}.ts`;
const testsOf = (name: string) => `tests/integration/scripts/${name}.test.ts`;

export const MUTANTS: readonly Mutant[] = [
  {
    name: "no owner check",
    file: scripts("parts/commit-header"),
    search: "ARGV[at + 4], ARGV[at + 5], count, consumer)",
    replace: "ARGV[at + 4], ARGV[at + 5], count)",
    tests: /another consumer: complete/,
    in: [testsOf("commit")],
  },
  {
    name: "no delivery count in the fence",
    file: scripts("parts/commit-check"),
    search: "if count ~= form.count then",
    replace: "if not count then",
    tests: /the owner with an older delivery count: complete/,
    in: [testsOf("commit")],
  },
  {
    name: "heartbeat without owner check",
    file: scripts("heartbeat"),
    search: "if owned[entry] == counts[i] then keep[#keep + 1] = entry end",
    replace: "keep[#keep + 1] = entry",
    tests: /another consumer's entry is lost, and stays the owner's/,
    in: [testsOf("leases")],
  },
  {
    name: "heartbeat for the first entry alone",
    file: scripts("heartbeat"),
    search: "consumer, 0, unpack(keep))",
    replace: "consumer, 0, keep[1], 'JUSTID')",
    tests: /each of several is, and no other/,
    in: [testsOf("leases")],
  },
  {
    name: "no deduplication at admission",
    file: scripts("admit"),
    search: "if status then return { ALREADY, status } end",
    replace: "",
    tests: /a run that is there is left as it is/,
    in: [testsOf("admit")],
  },
  {
    name: "no recovery of own pending entries: after a reconnect",
    file: "engine/reader.ts",
    search: "      onReconnect(made > 0);\n      await this.#recoverOwn(client);",
    replace: "      onReconnect(made > 0);",
    tests: /delivered to a connection that broke/,
    in: ["tests/integration/lost-deliveries.test.ts"],
  },
  {
    name: "no recovery of own pending entries: on a timer",
    file: "engine/reclaimer.ts",
    search: "if (this.#pass++ % PASSES_PER_RECOVERY === 0) await this.#recoverOwn(own);",
    replace: "if (this.#pass < 0) await this.#recoverOwn(own);",
    tests: /whose delivery never arrived/,
    in: ["tests/integration/lost-deliveries.test.ts"],
  },
  {
    name: "WAIT on another connection",
    file: "engine/redis/client.ts",
    search: "return this.#exec([...calls, last]);",
    // One that was there before: what it wrote last is not what is asked about.
    replace: `const replies = await this.#exec(calls);
    const self = this as unknown as { other?: Redis };
    self.other ??= (this.#link as Redis).duplicate();
    this.#link.once("end", () => self.other?.disconnect());
    return [...replies, await self.other.call(...last)];`,
    tests: /not confirmed by one that was idle since/,
    in: ["tests/faults/durability.test.ts"],
  },
  {
    name: "group at $",
    file: scripts("make-group"),
    search: "GROUP, '0', 'MKSTREAM'",
    replace: "GROUP, '$', 'MKSTREAM'",
    tests: /what comes before there is a group is delivered/,
    in: [testsOf("admit")],
  },
  {
    name: "group at $, of a lane",
    file: scripts("open-lane"),
    search: "GROUP, '0', 'MKSTREAM'",
    replace: "GROUP, '$', 'MKSTREAM'",
    tests: /what is there before the group is delivered/,
    in: [testsOf("lanes")],
  },
  {
    name: "MAXLEN on work",
    file: scripts("parts/prelude"),
    search: "redis.call('XADD', stream, '*', ...)",
    replace: "redis.call('XADD', stream, 'MAXLEN', '~', 1000000, '*', ...)",
    tests: /work streams are never trimmed/,
    in: ["tests/unit/dialect.test.ts"],
  },
  {
    name: "joins decided by the worker",
    file: scripts("parts/commit-writes"),
    // What had come before the call is what a worker would know.
    search: "local counts = run[following.join] or call('HGET', run.key, following.join) or '0 0'",
    replace: `local seen = 'seen:' .. following.join
      run[seen] = run[seen] or call('HGET', run.key, following.join) or '0 0'
      local counts = run[seen]`,
    tests: /both sides in one group: it begins once/,
    in: [testsOf("graphs")],
  },
  {
    name: "re-sent commands without idempotency: a batch of events",
    file: scripts("commit"),
    search: "if tonumber(ARGV[more]) > batch then",
    replace: "if tonumber(ARGV[more]) >= 0 then",
    tests: /events and progress, once for each batch/,
    in: [testsOf("commit")],
  },
  {
    name: "re-sent commands without idempotency: a request's key",
    file: scripts("reserve"),
    search: "if got[1] and got[1] ~= ARGV[5] then return { ALREADY, got[1], got[2] } end",
    replace: "",
    tests: /every later call gets it/,
    in: [testsOf("timers")],
  },
  {
    name: "a first write that memory pressure refuses",
    file: scripts("commit"),
    search: "\nif claim then call('XCLAIM'",
    replace: "\ncall('HINCRBY', KEYS[2], 'commits', 1)\nif claim then call('XCLAIM'",
    tests: /over the memory limit nothing is admitted/,
    in: [testsOf("memory")],
  },
  {
    name: "publish without log",
    file: scripts("parts/prelude"),
    search: "redis.call('RPUSH', log_key, unpack(lines, 1, n))",
    replace: "redis.call('LLEN', log_key) + n",
    tests: /a start: the run and the step are running/,
    in: [testsOf("commit")],
  },
];
