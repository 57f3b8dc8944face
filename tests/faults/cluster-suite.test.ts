import { expect, test } from "vitest";
import { newSeed, sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { startProgram } from "../support/process.ts";
import { connectionsNamed, connectToCluster } from "../support/redis-client.ts";
import { ROOT } from "../support/run.ts";
import { cluster } from "../support/servers/cluster.ts";
import { disturb } from "../support/servers/disturber.ts";

/** A representative part of the suite: of scripts, of shapes of workflow, and of what is promised to callers. */
const PART = [
  ...["admit", "commit", "items", "gates", "undo"].map((name) => `tests/integration/scripts/${name}.test.ts`),
  ...["maps", "lanes"].map((name) => `tests/integration/shapes/${name}.test.ts`),
  ...["runs", "partitions", "watch"].map((name) => `tests/integration/${name}.test.ts`),
  "tests/contract/runs.test.ts",
];
/** In the long lane; SUITE names some files of it, to run those again. */
const ALL = process.env.SUITE?.split(" ") ?? ["tests/integration/", "tests/contract/"];
const [PASSED, MOVES, FLUSHES] = process.env.SUITE === undefined ? [1_500, 1_000, 100] : [0, 0, 0];

test(
  "the suite holds on a cluster whose slots move and whose scripts are forgotten",
  async () => {
    const seed = newSeed();
    console.log(`SEED=${seed}`);
    await using servers = await cluster();
    const stop = disturb(servers, seed);
    const args = ["vitest", "run", ...sized(PART, ALL), "--reporter=dot"];
    const env = { REDIS_URL: servers.url, TEST_ENGINE_URL: undefined, FAULTS: undefined, VITEST: undefined };
    const suite = startProgram(process.execPath, [`${ROOT}bin/run.mjs`, ...args], { env });
    const { code } = await suite.exited;
    const { moves, flushes } = await stop();
    expect(code, suite.output()).toBe(0);
    expect(Number(/Tests .*?(\d+) passed/.exec(suite.output())?.[1])).toBeGreaterThan(sized(100, PASSED));
    expect(moves).toBeGreaterThan(sized(25, MOVES));
    expect(flushes).toBeGreaterThan(sized(10, FLUSHES));

    const looking = connectToCluster(servers.url);
    const left = await connectionsNamed(looking, /^millrace:/);
    looking.disconnect();
    expect(left.map(({ line }) => line)).toEqual([]);
  },
  sized(4 * TIMEOUT_MS, 2 * TIMEOUT_MS),
);
