import type { Random } from "../faults/random.ts";
import { changed, garbled, ODD_TEXTS } from "./odd.ts";

/** The beginning of a socket. */
export function handshake(path: string): Buffer {
  const lines = ["Host: localhost", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  return Buffer.from(
    [`GET ${path} HTTP/1.1`, ...lines, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""].join("\r\n"),
  );
}

interface FrameOptions {
  opcode?: number;
  fin?: boolean;
  /** The three bits that only extensions may set. */
  reserved?: number;
  masked?: boolean;
  /** What it says, if not how long it is. */
  length?: bigint;
}

/** A frame of a client (RFC 6455, 5.2), as wrong as it is asked for. */
export function frame(
  payload: Uint8Array,
  { opcode = 1, fin = true, reserved = 0, masked = true, length = BigInt(payload.byteLength) }: FrameOptions = {},
): Buffer {
  const mask = masked ? 0x80 : 0;
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const size = Buffer.alloc(length < 126n ? 0 : length < 65_536n ? 2 : 8);
  if (size.length === 2) size.writeUInt16BE(Number(length));
  if (size.length === 8) size.writeBigUInt64BE(BigInt.asUintN(64, length));
  const short = size.length === 0 ? Number(length) : size.length === 2 ? 126 : 127;
  const key = Buffer.from([1, 2, 3, 4]);
  const content = masked ? Buffer.from(payload.map((byte, i) => byte ^ key[i % 4]!)) : payload;
  return Buffer.concat([Buffer.from([first, mask | short]), size, masked ? key : Buffer.alloc(0), content]);
}

const ASKED = [
  ...[
    { type: "subscribe", run: "unknown" },
    { type: "signal", run: "unknown", name: "approve", data: { ok: true }, id: "1", idempotencyKey: "k" },
    { type: "subscribe", workflow: "greet" },
    { type: "subscribe", all: true },
  ],
  ...[
    { type: "unsubscribe", all: true },
    { type: "unsubscribe", run: "unknown" },
  ],
  ...[{ type: "subscribe", workflow: "any", after: "0-0", snapshot: true }],
];

/** One frame, which may be what the gateway takes. */
export function randomFrame(random: Random): Buffer {
  const asked = random.pick(ASKED);
  const text =
    random.next() < 0.2
      ? random.pick(ODD_TEXTS)
      : (JSON.stringify(random.next() < 0.3 ? asked : changed(asked, random)) ?? "");
  const payload = Buffer.from(text);
  const ways: (() => Buffer)[] = [
    ...Array.from({ length: 6 }, () => () => frame(payload)),
    () => frame(payload, { opcode: random.whole(0, 15) }),
    () => frame(payload, { opcode: random.pick([8, 9, 10]) }),
    () => frame(payload.subarray(0, 120), { opcode: random.pick([9, 10]) }),
    () => frame(payload, { fin: false }),
    () => frame(payload, { opcode: 0, fin: random.next() < 0.5 }),
    () => frame(payload, { reserved: random.whole(1, 7) }),
    () => frame(payload, { masked: false }),
    () =>
      frame(payload, {
        length: random.pick([0n, 1n, 125n, 65_536n, 131_073n, 2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]),
      }),
    () => frame(Buffer.from([random.whole(0, 255), random.whole(0, 255)]), { opcode: 8 }),
    () => frame(Buffer.from([0xc3, 0x28, 0xff])),
    () => frame(Buffer.alloc(random.pick([65_536, 70_000, 131_072, 140_000]), "x")),
    () => garbled(frame(payload), random),
  ];
  return random.pick(ways)();
}
