import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { redisUrl } from "./redis.ts";

/**
 * What becomes of bytes: they pass; nothing passes; requests pass and replies are lost, or are from the first such command on;
 * all come one byte at a time; or late.
 */
export type Mode = "pass" | "black-hole" | "drop-replies" | { dropRepliesTo: string } | "dribble" | { delayMs: number };
export type Which = "existing" | "new" | "all";

/** A TCP proxy before a Redis, whose connections can be harmed. For `await using`. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** As the server's own, with the proxy's port. */
  readonly url: string;
  /** How many connections were made so far. */
  readonly connections: number;
  /** How many are open. */
  readonly open: number;
  /** How often something was kept from passing. */
  readonly lost: number;
  /** How many connections were cut because they were silent. */
  readonly silenced: number;
  /** How many of the connections that are open have carried a command of this name. */
  carrying(command: string): number;
  /** From here on bytes fare so, over those that are there or those that will be made. Default: all. */
  set(mode: Mode, which?: Which): void;
  /** Resets what is open, as a failed machine would, and says how many that were. */
  cut(): number;
  /** Resolves once so many bytes of requests have passed from now on. */
  passed(bytes: number): Promise<void>;
  /** Cuts every connection over which nothing has passed for so long, as load balancers do; undefined: none. */
  cutAfterSilence(ms: number | undefined): void;
  /**
   * Resolves once `met` holds; looks again after every connection made or closed, every chunk that was
   * lost, and every command that is new to its connection.
   */
  until(met: (proxy: TcpProxy) => boolean): Promise<void>;
}

interface Pair {
  near: Socket;
  far: Socket;
  mode: Mode;
  commands: Set<string>;
}

/** @param url of the server; with TLS, bytes pass as they are */
export async function openProxy(url = redisUrl): Promise<TcpProxy> {
  const target = new URL(url);
  const pairs = new Set<Pair>();
  const waiting = new Set<() => void>();
  const counts = { connections: 0, lost: 0, silenced: 0 };
  let modeOfNew: Mode = "pass";
  let silenceMs: number | undefined;
  let passing: { left: number; done: () => void } | undefined;
  const changed = () => {
    for (const look of waiting) look();
  };

  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    const pair: Pair = { near, far, mode: modeOfNew, commands: new Set() };
    counts.connections += 1;
    pairs.add(pair);
    for (const socket of [near, far]) socket.setNoDelay();
    watchSilence(pair);
    void carry(pair, near, far, "request");
    void carry(pair, far, near, "reply");
    near.once("close", () => {
      pairs.delete(pair);
      changed();
    });
    changed();
  });

  function watchSilence({ near, far }: Pair): void {
    near.setTimeout(silenceMs ?? 0);
    near.removeAllListeners("timeout").once("timeout", () => {
      counts.silenced += 1;
      near.resetAndDestroy();
      far.destroy();
    });
  }

  function count(bytes: number): void {
    if (passing === undefined) return;
    passing.left -= bytes;
    if (passing.left <= 0) passing.done();
  }

  async function carry(pair: Pair, from: Socket, to: Socket, what: "request" | "reply"): Promise<void> {
    try {
      for await (const bytes of from) {
        if (what === "request" && note(pair, bytes)) changed();
        if (what === "request") count(bytes.length);
        const mode = modeOf(pair);
        if (mode === "black-hole" || (mode === "drop-replies" && what === "reply")) {
          counts.lost += 1;
          changed();
        } else if (mode === "dribble") for (const byte of bytes as Buffer) await send(to, Buffer.of(byte));
        else {
          if (typeof mode === "object" && "delayMs" in mode)
            await new Promise((resolve) => setTimeout(resolve, mode.delayMs));
          await send(to, bytes);
        }
      }
      to.end();
    } catch {
      // Either end is gone, and so is the other.
      to.destroy();
    }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const own = new URL(url);
  own.port = String(port);
  const proxy: TcpProxy = {
    ...{ port, url: String(own) },
    get connections() {
      return counts.connections;
    },
    get open() {
      return pairs.size;
    },
    get lost() {
      return counts.lost;
    },
    get silenced() {
      return counts.silenced;
    },
    carrying: (command) => [...pairs].filter(({ commands }) => commands.has(command.toLowerCase())).length,
    set(mode, which = "all") {
      if (which !== "existing") modeOfNew = mode;
      if (which !== "new") for (const pair of pairs) pair.mode = mode;
    },
    cut() {
      const cut = [...pairs];
      pairs.clear();
      for (const { near, far } of cut) {
        near.resetAndDestroy();
        far.destroy();
      }
      return cut.length;
    },
    passed(bytes) {
      return new Promise((done) => {
        passing = { left: bytes, done };
      });
    },
    cutAfterSilence(ms) {
      silenceMs = ms;
      for (const pair of pairs) watchSilence(pair);
    },
    until(met) {
      return new Promise((resolve) => {
        const look = () => {
          if (!met(proxy)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      });
    },
    async [Symbol.asyncDispose]() {
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

function modeOf({ mode, commands }: Pair): Mode {
  if (typeof mode !== "object" || !("dropRepliesTo" in mode)) return mode;
  return commands.has(mode.dropRepliesTo) ? "drop-replies" : "pass";
}

/** Resolves when it can take more, and not at all over one that is gone: then the loop that waits ends with the socket. */
function send(to: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    to.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

/** The names of commands in a chunk of requests: what follows the length of an array's first element. True if one is new. */
function note({ commands }: Pair, bytes: Buffer): boolean {
  const before = commands.size;
  for (const [, name] of bytes.toString("latin1").matchAll(/\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n/g))
    commands.add(name!.toLowerCase());
  return commands.size > before;
}
