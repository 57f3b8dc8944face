import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frame, handshake } from "../../support/fuzz/frames.ts";
import { answerOf, eventually, startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { TestSocket } from "../../support/live-clients.ts";
import { rawRequest, statusOf } from "../../support/raw-http.ts";

const ORIGIN = "https://app.example.com";
const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
let key: Record<string, string>;
const keyOf = async (tenant: string): Promise<Record<string, string>> => {
  const { secret } = await gateway.millrace.access.keys.create({ tenant, name: "a", scopes: ["admin"] });
  return { Authorization: `Bearer ${secret}` };
};
beforeAll(async () => {
  const limits = { sockets: 7, socketsPerKey: 4, subscriptions: 2 };
  gateway = await startGateway({ workflows, worker: false, keys: true, origins: [ORIGIN], limits });
  key = await keyOf("acme");
});
afterAll(async () => {
  expect(await gateway.watched()).toEqual([]);
  await gateway.close();
});

const opening = (headers: Record<string, string>) => {
  const socket = new TestSocket(`${gateway.url}/v1/live`, headers);
  return { socket, status: Promise.race([socket.opened.then(() => 101), socket.refused]) };
};

describe("a socket", () => {
  test.each([
    "null",
    "https://app.example.com.evil.example",
    "http://app.example.com",
    "https://app.example.com:444",
    "*",
    "file://",
  ])("of origin %s is refused before it is one, whoever it is", async (origin) => {
    for (const headers of [{}, key]) expect(await opening({ ...headers, Origin: origin }).status).toBe(403);
  });

  test("of nobody is refused before it is one", async () => {
    expect(await opening({ Origin: ORIGIN }).status).toBe(401);
    expect(await opening({ Authorization: "Bearer mr_x" }).status).toBe(401);
  });

  test("is not compressed, though its client offers to", async () => {
    const { socket, status } = opening({ ...key, Origin: ORIGIN });
    expect(await status).toBe(101);
    expect(socket.socket.extensions).toBe("");
    socket.socket.close();
    await socket.closed;
  });

  test("has room for so many of one key, and so many in all, and it is free again when they close", async () => {
    const other = await keyOf("other");
    const mine = Array.from({ length: 6 }, () => opening(key));
    const statuses = await Promise.all(mine.map(({ status }) => status));
    expect(statuses.filter((status) => status === 101)).toHaveLength(4);
    expect(statuses.filter((status) => status === 429)).toHaveLength(2);
    const theirs = Array.from({ length: 4 }, () => opening(other));
    const told = await Promise.all(theirs.map(({ status }) => status));
    expect(told.filter((status) => status === 101)).toHaveLength(3);
    expect(told.filter((status) => status === 429)).toHaveLength(1);
    for (const { socket } of [...mine, ...theirs]) socket.socket.terminate();
    // One that is refused counts for nothing, and nor does one whose client left.
    for (let i = 0; i < 6; i++) {
      await rawRequest(gateway.port, {
        head: [
          "GET /v1/live HTTP/1.1",
          "Connection: Upgrade",
          "Upgrade: websocket",
          `Authorization: ${key.Authorization}`,
        ],
      });
    }
    await eventually(
      async () => {
        const again = opening(key);
        const status = await again.status;
        again.socket.socket.close();
        return status;
      },
      (status) => status === 101,
    );
  });

  test("that asks and takes back without end is told to stop", async () => {
    const { socket, status } = opening(key);
    await status;
    for (let i = 0; i < 200; i++) {
      socket.send({ type: "subscribe", all: true });
      socket.send({ type: "unsubscribe", all: true });
    }
    expect(await socket.ofType("error")).toMatchObject({ problem: { status: 409 } });
    socket.socket.close();
    await socket.closed;
    await eventually(gateway.watched, (channels) => channels.length === 0);
  });
});

describe("frames that are none", () => {
  /** What the server says before it ends the connection: the code with which it closes. */
  async function codeAfter(...frames: Buffer[]): Promise<number | undefined> {
    const socket = connect(gateway.port, "127.0.0.1");
    const chunks: Buffer[] = [];
    socket.on("error", () => {}).on("data", (data) => chunks.push(data));
    const head = handshake("/v1/live").toString().replace("Host:", `Authorization: ${key.Authorization}\r\nHost:`);
    socket.write(head);
    await once(socket, "data");
    for (const each of frames) socket.write(each);
    await once(socket, "close");
    const all = Buffer.concat(chunks);
    const at = all.indexOf("\r\n\r\n") + 4;
    expect(all.toString("latin1")).toMatch(/^HTTP\/1\.1 101 /);
    const close = all.indexOf(0x88, at);
    return close < 0 ? undefined : all.readUInt16BE(close + 2);
  }
  const text = Buffer.from("{}");

  test.each<[string, number, Buffer[]]>([
    ["an opcode that there is not", 1002, [frame(text, { opcode: 3 })]],
    ["a bit that is reserved", 1002, [frame(text, { reserved: 4 })]],
    ["no mask", 1002, [frame(text, { masked: false })]],
    ["a ping in parts", 1002, [frame(text, { opcode: 9, fin: false })]],
    ["a ping of 126 bytes", 1002, [frame(Buffer.alloc(126), { opcode: 9 })]],
    ["a part of nothing", 1002, [frame(text, { opcode: 0 })]],
    ["a message within another", 1002, [frame(text, { fin: false }), frame(text)]],
    ["a length of 2^63", 1009, [frame(text, { length: 2n ** 63n })]],
    ["a length of 1 GB", 1009, [frame(text, { length: 2n ** 30n })]],
    [
      "parts that are too much together",
      1009,
      [frame(Buffer.alloc(90_000, "x"), { fin: false }), frame(Buffer.alloc(90_000, "x"), { opcode: 0 })],
    ],
    [
      "parts without end",
      1008,
      Array.from({ length: 20_000 }, (_, i) => frame(Buffer.from("x"), { opcode: i === 0 ? 1 : 0, fin: false })),
    ],
    ["a text that is not UTF-8", 1007, [frame(Buffer.from([0xc3, 0x28]))]],
    ["a code that nobody may send", 1002, [frame(Buffer.from([3, 237]), { opcode: 8 })]],
    [
      "a message of 65,537 bytes",
      1009,
      [frame(Buffer.alloc(65_537, "x")), frame(Buffer.from([3, 232]), { opcode: 8 })],
    ],
  ])("%s end the socket with %d", async (_, code, frames) => {
    expect(await codeAfter(...frames)).toBe(code);
  });
});

describe("an upgrade", () => {
  test.each(["h2c", "foo/1", "TLS/1.0", "websocket2"])(
    "to %s is served as if it had not been asked for, or refused",
    async (protocol) => {
      const head = ["GET /livez HTTP/1.1", "Connection: Upgrade", `Upgrade: ${protocol}`];
      expect([200, 400]).toContain(statusOf(await rawRequest(gateway.port, { head })));
    },
  );

  test("where there is no socket is refused, and its connection ended", async () => {
    for (const path of ["/v1/runs", "/livez", "/nothing", "/v1/live?run=x"]) {
      const socket = connect(gateway.port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      socket.write(handshake(path));
      // The client does not end its own side.
      await once(socket, "close");
    }
  });

  test("for a document leaves its file closed", async () => {
    const stored = await answerOf(
      await fetch(`${gateway.url}/v1/documents`, { method: "POST", headers: key, body: "x".repeat(200_000) }),
    );
    const { id } = stored.body;
    for (let i = 0; i < 5; i++)
      await rawRequest(gateway.port, {
        head: [
          `GET /v1/documents/${id} HTTP/1.1`,
          "Connection: Upgrade",
          "Upgrade: websocket",
          `Authorization: ${key.Authorization}`,
        ],
      });
    const { readdir, readlink } = await import("node:fs/promises");
    const open = async () => {
      const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
      return (await Promise.all(links)).filter((path) => path.includes(id) || path.includes(stored.body.sha256));
    };
    if (process.platform === "linux") await expect.poll(open).toEqual([]);
  });
});
