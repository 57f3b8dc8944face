import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Entry, startEntry } from "../support/entry.ts";
import { answerOf, eventually } from "../support/gateway.ts";
import { TestSocket, TestStream } from "../support/live-clients.ts";
import { GATEWAY_RUNTIMES, missing } from "../support/process.ts";
import { chunked, rawRequest, statusOf } from "../support/raw-http.ts";

/** What no program of ours has a hand in there: workerd listens, and tells a Durable Object nothing when it is to end. */
const onWorkerd = (runtime: string) => runtime === "workerd" && "workerd itself does that";

for (const runtime of GATEWAY_RUNTIMES)
  describe.skipIf(missing(runtime))(`the entry for ${runtime}`, () => {
    let entry: Entry;
    let port: number;
    let url: string;

    beforeAll(async () => {
      entry = await startEntry(runtime);
      ({ port } = entry);
      url = `http://127.0.0.1:${port}`;
    });
    afterAll(async () => {
      await entry?.stop();
    });

    const post = async (path: string, body: unknown) =>
      answerOf(
        await fetch(url + path, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(body),
        }),
      );

    test("listens on the port that it was given", () => {
      expect(port).toBeGreaterThan(0);
    });

    test("serves the dashboard, packed for who takes that", async () => {
      const page = await fetch(`${url}/`);
      expect(page.headers.get("content-encoding")).toBe(onWorkerd(runtime) ? null : "gzip");
      const [, script] = /src="([^"]+)"/.exec(await page.text())!;
      const texts = [];
      for (const encoding of ["gzip", "identity"]) {
        const file = await fetch(url + script, { headers: { "Accept-Encoding": encoding } });
        expect(file.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
        texts.push(await file.text());
      }
      expect(texts[0]).toBe(texts[1]);
      expect(texts[0]!.length).toBeGreaterThan(10_000);
    });

    test.skipIf(onWorkerd(runtime))("says so when the port is taken", async () => {
      const second = entry.again();
      expect(await second.line(/did not start/)).toMatch(/EADDRINUSE|AddrInUse/);
      expect(await second.exited).toMatchObject({ code: 3 });
    });

    test("serves a socket: watched, cut, resumed, cancelled", async () => {
      const { body } = await post("/v1/workflows/held/runs", { input: {} });
      const first = new TestSocket(`${url}/v1/runs/${body.id}/events`);
      const { cursor } = await first.ofType("step.output");
      first.socket.terminate();
      const second = new TestSocket(`${url}/v1/runs/${body.id}/events?after=${cursor}`);
      await second.opened;
      expect((await post(`/v1/runs/${body.id}/cancel`, {})).status).toBe(202);
      expect(await second.closed).toEqual({ code: 1000, reason: "the run has ended" });
      const all = [...first.messages, ...second.messages];
      expect(all.map(({ seq }) => seq)).toEqual(all.map((_, i) => i + 1));
      expect(all.at(-1)).toMatchObject({ type: "run.cancelled" });
    });

    test("serves many runs over one socket, and refuses what it must", async () => {
      const socket = new TestSocket(`${url}/v1/live`);
      await socket.opened;
      const { body } = await post("/v1/workflows/greet/runs", { input: { name: runtime } });
      socket.send("{");
      socket.send({ type: "subscribe", run: body.id });
      expect(await socket.ofType("error")).toMatchObject({ problem: { status: 400 } });
      await socket.ofType("run.completed");
      socket.send({ type: "signal", run: body.id, name: "none", id: "mine" });
      expect(await socket.first(({ problem }) => problem?.id === "mine")).toMatchObject({ problem: { status: 404 } });
      socket.send(Uint8Array.of(1));
      await socket.first(({ problem }) => problem?.detail === "Messages are text.");
      socket.send("x".repeat(70_000));
      expect((await socket.closed).code).toBe(1009);
      const binary = new TestSocket(`${url}/v1/live`);
      await binary.opened;
      binary.send(new Uint8Array(70_000));
      expect((await binary.closed).code).toBe(1009);
      expect(await new TestSocket(`${url}/v1/runs/unknown/events`).refused).toBe(404);
      const head = ["GET /v1/live HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"];
      expect(statusOf(await rawRequest(port, { head }))).toBe(400);
    });

    test("what fails once a socket is promised, or for one that is open, ends that one alone", async () => {
      const other = new TestSocket(`${url}/v1/live`);
      await other.opened;
      for (let i = 0; i < 3; i += 1) {
        const failed = new TestSocket(`${url}/v1/live`, { "X-Request-Id": "fails" });
        // A runtime that has opened it by then does not take that back.
        const status = await Promise.race([failed.refused, failed.opened.then(() => 101)]);
        expect([101, 500]).toContain(status);
        failed.socket.terminate();
      }
      const failing = new TestSocket(`${url}/v1/live`);
      await failing.opened;
      failing.send("fail");
      expect(await failing.closed).toEqual({ code: 1011, reason: "something went wrong here" });
      other.send("{");
      expect(await other.ofType("error")).toMatchObject({ problem: { status: 400 } });
      expect((await fetch(`${url}/livez`)).status).toBe(200);
      other.socket.close();
      await other.closed;
    });

    test("refuses a handshake that is none", async () => {
      const ask = (...lines: string[]) => rawRequest(port, { head: ["GET /v1/live HTTP/1.1", ...lines] });
      const [key, version] = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"];
      const upgrade = "Upgrade: websocket";
      // 426 is for a version that is not known (RFC 6455, 4.4).
      for (const lines of [
        ["Connection: Upgrade", upgrade, version],
        ["Connection: Upgrade", upgrade, key],
        ["Connection: Upgrade", upgrade, key, "Sec-WebSocket-Version: 8"],
        ["Connection: close", upgrade, key, version],
      ])
        expect(runtime === "workerd" ? [400, 426] : [400]).toContain(statusOf(await ask(...lines)));
    });

    test("streams events, and takes a stream up again", async () => {
      const { body } = await post("/v1/workflows/greet/runs", { input: { name: runtime } });
      const stream = await TestStream.open(`${url}/v1/runs/${body.id}/events`);
      const { cursor } = await stream.ofType("run.started");
      await stream.ended;
      const rest = await TestStream.open(`${url}/v1/runs/${body.id}/events`, { headers: { "Last-Event-ID": cursor } });
      await rest.ended;
      expect(rest.messages).toEqual(stream.messages.slice(2));
      const last = stream.messages.at(-1).cursor;
      const nothing = await TestStream.open(`${url}/v1/runs/${body.id}/events`, { headers: { "Last-Event-ID": last } });
      expect(nothing.status).toBe(204);
    });

    test("takes uploads, and leaves nothing of those that it refuses", async () => {
      const content = new Uint8Array(2_000_000).fill(7);
      const form = new FormData();
      form.append("file", new Blob([content]), "a.bin");
      const whole = { method: "POST", body: form };
      const { status, body } = await answerOf(await fetch(`${url}/v1/documents?workflow=measure`, whole));
      expect([status, body.document.size]).toEqual([202, 2_000_000]);
      await (await TestStream.open(`${url}${body.links.events}`)).ended;
      const run = await answerOf(await fetch(url + body.links.self));
      expect(run.body).toMatchObject({ status: "completed", output: { bytes: 2_000_000 } });
      const out = await fetch(`${url}/v1/documents/${body.document.id}`);
      expect((await out.arrayBuffer()).byteLength).toBe(2_000_000);

      const stored = await entry.stored();
      const head = ["POST /v1/documents?name=a.txt HTTP/1.1", "Content-Type: text/plain"];
      const chunk = chunked("hello ".repeat(20_000));
      const chunks = Array.from({ length: 20 }, () => chunk);
      const endless = { head: [...head, "Transfer-Encoding: chunked"], chunks };
      expect(statusOf(await rawRequest(port, endless))).toBe(413);
      const cut = { head: [...head, "Content-Length: 500000"], chunks: [chunk], afterwards: "destroy" as const };
      await rawRequest(port, cut);
      await rawRequest(port, { ...cut, head: endless.head });
      await eventually(entry.stored, (count) => count === stored);
    });

    test.skipIf(onWorkerd(runtime))("closes its sockets with 1001 when it stops, and ends", async () => {
      const { body } = await post("/v1/workflows/held/runs", { input: {} });
      const sockets = [new TestSocket(`${url}/v1/runs/${body.id}/events`), new TestSocket(`${url}/v1/live`)];
      await Promise.all(sockets.map((socket) => socket.opened));
      entry.server.kill("SIGTERM");
      for (const socket of sockets) expect((await socket.closed).code).toBe(1001);
      expect(await entry.server.exited).toMatchObject({ code: 0 });
      expect(entry.server.output()).toContain("stopped");
      await expect(fetch(`${url}/livez`)).rejects.toThrow();
    });
  });
