import { writeFile } from "node:fs/promises";
import { describe, expect, test, vi } from "vitest";
import { completions, openFleet } from "../support/fleet.ts";
import { chain, held, killing, lasting, type RanBy } from "../support/programs/fleet-workflows.ts";
import { temporaryDir } from "../support/run.ts";

const LEASE_MS = 1_500;
const LEASE = ["--lease-ms", String(LEASE_MS)];
/** A beat that comes late on a busy machine puts off what is taken over. */
const SLACK_MS = 1_500;
const ONCE = { before: 1, hold: 1, after: 1 };

describe("a worker process that is killed in the middle of a step", () => {
  test("loses it to another within its lease, and the run completes with one transition", async () => {
    await using fleet = await openFleet();
    const file = `${await temporaryDir()}/go`;
    const first = await fleet.start(...LEASE);
    const { id } = await fleet.millrace.runs.start(held, { files: [file, file] });
    await first.line(new RegExp(`^holding ${id}`));
    const others = await Promise.all([fleet.start(...LEASE), fleet.start(...LEASE)]);
    const killedAt = Date.now();
    first.kill("SIGKILL");
    // What a living worker has in hand stays its own, however much it is and however long it takes.
    const works = await Promise.all(
      Array.from({ length: 6 }, () => fleet.millrace.runs.start(lasting, { ms: 2 * LEASE_MS })),
    );
    const second = await Promise.any(others.map((each) => each.line(new RegExp(`^holding ${id}`)).then(() => each)));
    await writeFile(file, "");

    const events = await fleet.events(id);
    expect(completions(events)).toEqual(ONCE);
    const [lost, taken] = events.filter(({ type, step }) => type === "step.started" && step === "hold");
    expect([lost!.attempt, taken!.attempt]).toEqual([1, 2]);
    expect(Date.parse(taken!.at) - Date.parse(lost!.at)).toBeGreaterThan(0.9 * LEASE_MS);
    expect(Date.parse(taken!.at) - killedAt).toBeLessThan(LEASE_MS + SLACK_MS);
    const run = await fleet.millrace.runs.get(id);
    expect(run).toMatchObject({ status: "completed", output: { pid: second.pid, attempt: 2 } satisfies RanBy });
    for (const work of works)
      expect((await fleet.events(work.id)).filter(({ type }) => type === "step.started")).toHaveLength(1);
  });
});

describe("a worker process that stands still for three leases", () => {
  test("has its late results refused, and goes on working", async () => {
    await using fleet = await openFleet();
    const { millrace } = fleet;
    const dir = await temporaryDir();
    const [early, late] = [`${dir}/early`, `${dir}/late`];
    const zombie = await fleet.start(...LEASE);
    // Both are done by the other worker: one before the zombie wakes, one after it.
    const [done, open] = await Promise.all([
      millrace.runs.start(held, { files: [early, early] }),
      millrace.runs.start(held, { files: [early, late] }),
    ]);
    for (const { id } of [done, open]) await zombie.line(new RegExp(`^holding ${id}`));
    const other = await fleet.start(...LEASE);
    zombie.kill("SIGSTOP");
    for (const { id } of [done, open]) await other.line(new RegExp(`^holding ${id}`));
    await writeFile(early, "");
    const events = await fleet.events(done.id);
    // Three leases of work: the other one keeps its own all the while.
    const work = await millrace.runs.start(lasting, { ms: 3 * LEASE_MS });
    expect(await fleet.ended(work.id)).toMatchObject({ output: { pid: other.pid } });

    zombie.kill("SIGCONT");
    for (const { id } of [done, open])
      await vi.waitFor(() => expect(zombie.output()).toMatch(new RegExp(`the end of entry .*${id}.* was refused`)), {
        timeout: 10_000,
      });
    await writeFile(late, "");
    expect(await fleet.events(done.id)).toEqual(events);
    for (const { id } of [done, open]) {
      expect(completions(await fleet.events(id))).toEqual(ONCE);
      const run = await millrace.runs.get(id);
      expect(run).toMatchObject({ status: "completed", output: { pid: other.pid, attempt: 2 } satisfies RanBy });
    }

    expect(await other.stop()).toEqual({ code: 0, signal: null });
    const next = await millrace.runs.start(chain, { ms: 0 });
    expect(await fleet.ended(next.id)).toMatchObject({ output: { pid: zombie.pid, attempt: 1 } satisfies RanBy });
  });
});

describe("a step that kills its process", () => {
  test("goes to dead letters after three deaths, while other runs complete", async () => {
    await using fleet = await openFleet();
    const { millrace } = fleet;
    await Promise.all(Array.from({ length: 4 }, () => fleet.start(...LEASE)));
    // In the steps beside it, and in its own.
    const others = await Promise.all([
      ...Array.from({ length: 30 }, (_, i) => millrace.runs.start(chain, { ms: 20 * i })),
      ...Array.from({ length: 10 }, (_, i) => millrace.runs.start(killing, { spareMs: 50 * i })),
    ]);
    const { id } = await millrace.runs.start(killing, {});

    const events = await fleet.events(id);
    expect(events.map(({ type }) => type).slice(-2)).toEqual(["step.failed", "run.failed"]);
    expect(completions(events)).toEqual({ before: 1 });
    const error = { code: "step_crashed", message: "The worker that ran this step died 3 times." };
    expect(await millrace.runs.get(id)).toMatchObject({
      status: "failed",
      error,
      steps: { kill: { attempt: 4, error } },
    });
    expect(await millrace.deadLetters.list()).toMatchObject({ data: [{ run: id, step: "kill", error }] });

    for (const other of [...others, await millrace.runs.start(chain, { ms: 5 })]) {
      const counts = completions(await fleet.events(other.id));
      expect(counts).toEqual(other.workflow === "chain" ? { one: 1, two: 1, three: 1 } : { before: 1, kill: 1 });
      expect(await millrace.runs.get(other.id)).toMatchObject({ status: "completed" });
    }
  });
});
