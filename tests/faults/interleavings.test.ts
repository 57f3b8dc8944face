import { expect, test } from "vitest";
import { connectBy } from "../../engine/connect.ts";
import { createWorker, type Millrace, type Worker } from "../../engine/index.ts";
import { check } from "../support/faults/check.ts";
import { crossing, walk } from "../support/faults/crossing.ts";
import { Interleaver, type Party } from "../support/faults/interleaver.ts";
import { Journal } from "../support/faults/journal.ts";
import { Schedule } from "../support/faults/schedule.ts";
import { newSeed, sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { RETRY } from "../support/programs/journey.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

const ROUNDS = sized(4, 500);
const RUNS = 8;
const WORKERS = 3;
const DEATHS = 2;
const LEASE_MS = 500;
const workflows = [crossing, walk];

interface Member {
  party: Party;
  millrace: Millrace;
  worker: Worker;
}

test(
  "in whatever order the scripts of several workers come, and whoever dies, each step has one transition",
  async () => {
    const seed = newSeed();
    let late = 0;
    for (let round = 0; round < ROUNDS; round += 1) late += await play(seed + round);
    expect(late, "the dead had something in hand").toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

/** How many results came too late. */
async function play(seed: number): Promise<number> {
  const schedule = new Schedule(DEATHS, seed);
  const { random } = schedule;
  const journal = new Journal(`${await temporaryDir()}/journal`);
  const namespace = freshNamespace();
  const between = new Interleaver(random);
  const members: Member[] = [];
  const connectAs = (party: Party) => connectBy(between.clientOf(party), { url: redisUrl, namespace, workflows });
  const join = async () => {
    const party: Party = { name: `worker ${members.length + 1}`, isDead: false };
    const millrace = await connectAs(party);
    const env = { JOURNAL: journal.path };
    const worker = createWorker(millrace, { concurrency: 3, leaseMs: LEASE_MS, drainMs: 1_000, env });
    members.push({ party, millrace, worker });
    await worker.start();
  };
  const caller = await connectAs({ name: "the caller", isDead: false });
  try {
    await Promise.all(Array.from({ length: WORKERS }, join));
    const runs = Promise.all(Array.from({ length: RUNS }, (_, n) => start(caller, journal, n)));
    const ended = runs.then((ids) => Promise.all(ids.map((id) => end(caller, id))));
    for (let deaths = 0; deaths < DEATHS; deaths += 1) {
      await Promise.race([between.after(random.whole(5, 60)), ended]);
      const { party } = random.pick(members.filter((each) => !each.party.isDead));
      between.kill(party);
      schedule.note(`${party.name} dies at step ${between.steps}`);
      await join();
    }
    await ended;
    // What the dead had in hand comes now, and it is too late.
    await between.open();
    await Promise.all(members.map(({ worker }) => worker.stop()));
    const policy = { attempts: RETRY.attempts, crashes: 3 };
    const checked = await check({ urls: [redisUrl], namespace, journal, policy, schedule });
    expect(checked.runs).toBe(RUNS);
    return members.reduce((sum, { worker }) => sum + worker.lateResults, 0);
  } catch (error) {
    console.log(between.trace);
    throw error;
  } finally {
    await between.open();
    await Promise.all(members.map(({ worker }) => worker.stop()));
    await Promise.all([caller, ...members.map(({ millrace }) => millrace)].map((each) => each.close()));
  }
}

/** Asks for a run, every other one twice at the same time. */
async function start(caller: Millrace, journal: Journal, n: number): Promise<string> {
  const [key, tenant] = [`k${n}`, "default"];
  journal.add({ what: "asked", key, tenant });
  const input = { key, ...(n % 3 === 0 && { throws: "arrive" }) };
  const idempotency = { scope: "interleavings", key, digest: key };
  const ask = () => caller.runs.start(n % 2 === 0 ? crossing : walk, input, { idempotency });
  const asked = await Promise.all(n % 2 === 0 ? [ask(), ask()] : [ask()]);
  for (const { id, workflow } of asked) journal.add({ what: "acknowledged", key, tenant, run: id, workflow });
  return asked[0]!.id;
}

async function end(caller: Millrace, run: string): Promise<void> {
  for await (const event of caller.watch(run, { signal: AbortSignal.timeout(30_000) }))
    if (/^run\.(completed|failed)$/.test(event.type)) return;
  throw new Error(`Run ${run} has not ended.`);
}
