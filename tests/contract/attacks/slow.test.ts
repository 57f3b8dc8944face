import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing, RUNTIMES, type StartedProcess, startFile } from "../../support/process.ts";
import { freshNamespace, redisUrl } from "../../support/redis.ts";
import { temporaryDir } from "../../support/run.ts";
import { SlowSenders } from "../../support/slow-senders.ts";

const DRIPPING = 2_000;
const HEALTHY = 50;
/** By when a client that does its part is served, whoever else there is. */
const SERVED_MS = 15_000;
for (const runtime of RUNTIMES)
  describe.skipIf(missing(runtime))(`on ${runtime}`, () => {
    let server: StartedProcess;
    let port: number;
    let dripping: SlowSenders | undefined;

    beforeAll(async () => {
      const args = [redisUrl, freshNamespace(), await temporaryDir()];
      server = startFile(runtime, "tests/support/programs/serve-entry.ts", { args });
      port = Number((await server.line(new RegExp(`${runtime} listens on`))).split(" ").at(-1));
      dripping = await SlowSenders.open(port, DRIPPING);
    });
    afterAll(async () => {
      dripping?.close();
      expect(await server.stop()).toMatchObject({ code: 0 });
    });

    test(`${DRIPPING} senders that drip keep nobody else from being served`, async () => {
      const url = `http://127.0.0.1:${port}`;
      const one = async (i: number) => {
        const signal = AbortSignal.timeout(SERVED_MS);
        const started = await fetch(`${url}/v1/workflows/greet/runs`, {
          ...{ method: "POST", headers: { "Content-Type": "application/json" }, signal },
          body: JSON.stringify({ input: { name: `${i}` } }),
        });
        expect(started.status).toBe(202);
        const { id } = (await started.json()) as { id: string };
        const events = await fetch(`${url}/v1/runs/${id}/events`, { signal });
        expect(await events.text()).toContain("run.completed");
      };
      await Promise.all(Array.from({ length: HEALTHY }, (_, i) => one(i)));
    }, 30_000);

    // Bun and Deno have no such setting; there a proxy in front has to do it.
    test.skipIf(runtime !== "node")(
      "whose headers do not come in time is cut off",
      async () => {
        const slow = dripping!.inHeaders;
        expect(slow.length).toBeGreaterThan(0);
        await expect.poll(() => slow.filter((socket) => !socket.destroyed).length, { timeout: 40_000 }).toBe(0);
      },
      60_000,
    );
  });
