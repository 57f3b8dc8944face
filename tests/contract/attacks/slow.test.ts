import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing, RUNTIMES, type StartedProcess, startFile } from "../../support/process.ts";
import { freshNamespace, redisUrl } from "../../support/redis.ts";
import { temporaryDir } from "../../support/run.ts";

const DRIPPING = 500;
const HEALTHY = 50;
/** By when a client that does its part is served, whoever else there is. */
const SERVED_MS = 15_000;
/** Beginnings of requests: none of them ever ends. */
const BEGINNINGS = [
  "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
  "POST /v1/workflows/greet/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{",
  "POST /v1/documents?name=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
  "POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000\r\n\r\n--b\r\n",
  "GET /v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
];

for (const runtime of RUNTIMES)
  describe.skipIf(missing(runtime))(`on ${runtime}`, () => {
    let server: StartedProcess;
    let port: number;
    const dripping: Socket[] = [];
    let timer: ReturnType<typeof setInterval>;

    beforeAll(async () => {
      const args = [redisUrl, freshNamespace(), await temporaryDir()];
      server = startFile(runtime, "tests/support/programs/serve-entry.ts", { args });
      port = Number((await server.line(new RegExp(`${runtime} listens on`))).split(" ").at(-1));
      for (let i = 0; i < DRIPPING; i++) {
        const socket = connect(port, "127.0.0.1");
        socket.on("error", () => {});
        dripping.push(socket);
        await once(socket, "connect");
        socket.write(BEGINNINGS[i % BEGINNINGS.length]!);
      }
      timer = setInterval(() => {
        for (const socket of dripping) if (socket.writable) socket.write("x");
      }, 250);
    });
    afterAll(async () => {
      clearInterval(timer);
      for (const socket of dripping) socket.destroy();
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
        const isHeader = (_: Socket, i: number) => [0, 4].includes(i % BEGINNINGS.length);
        const slow = dripping.filter(isHeader);
        await expect.poll(() => slow.filter((socket) => !socket.destroyed).length, { timeout: 40_000 }).toBe(0);
      },
      60_000,
    );
  });
