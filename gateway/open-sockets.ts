import { getLogger } from "@logtape/logtape";
import { defineWebSocketHelper, type UpgradeWebSocket, type WSContext } from "hono/ws";
import { PING_MS } from "./limits.ts";
import { CLOSE } from "./live/close-codes.ts";

const log = getLogger(["millrace", "gateway"]);

export interface OpenSockets {
  /** The runtime's own, with its sockets counted. */
  upgradeWebSocket: UpgradeWebSocket;
  /** Says 1001, going away, to every socket; those that have not answered after `graceMs` are ended. */
  close(graceMs: number): Promise<void>;
}

/**
 * Keeps hold of every open socket, so that a server that stops can say so to each of them, and one whose client is gone is found:
 * a socket that has not answered one ping (RFC 6455, 5.5.2) by the next is ended. Where the runtime pings by itself, as its
 * entry has told it to, that is left to it.
 *
 * @param options what the runtime is given with each socket
 */
export function openSockets(
  upgrade: UpgradeWebSocket,
  { pingMs = PING_MS, ...options }: { pingMs?: number | undefined; [option: string]: unknown } = {},
): OpenSockets {
  // By the runtime's own object: on Bun every event comes with a new context.
  const open = new Map<unknown, WSContext>();
  const unanswered = new Set<unknown>();
  let pinging: ReturnType<typeof setInterval> | undefined;
  let wake = (): void => {};
  let closing = false;

  function ping(): void {
    for (const raw of open.keys()) {
      if (!canPing(raw)) continue;
      if (unanswered.has(raw)) raw.terminate();
      else {
        unanswered.add(raw);
        raw.ping();
      }
    }
  }

  function add(ws: WSContext): void {
    const { raw } = ws;
    open.set(raw, ws);
    pinging ??= setInterval(ping, pingMs);
    if (canPing(raw)) raw.on("pong", () => unanswered.delete(raw));
  }

  function remove({ raw }: WSContext): void {
    open.delete(raw);
    unanswered.delete(raw);
    if (open.size > 0) return;
    clearInterval(pinging);
    pinging = undefined;
    wake();
  }

  const upgradeWebSocket = defineWebSocketHelper((c, events) => {
    const kept = {
      onOpen: guarded((event: Event, ws) => {
        add(ws);
        events.onOpen?.(event, ws);
        if (closing) goAway(ws);
      }),
      onMessage: guarded((event: MessageEvent, ws) => events.onMessage?.(event, ws)),
      onClose: guarded((event: CloseEvent, ws) => {
        remove(ws);
        events.onClose?.(event, ws);
      }),
      onError: guarded((event: Event, ws) => events.onError?.(event, ws)),
    };
    return upgrade(c, kept, options);
  });

  async function close(graceMs: number): Promise<void> {
    closing = true;
    for (const ws of open.values()) goAway(ws);
    if (open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    for (const { raw } of open.values()) terminate(raw);
  }

  return { upgradeWebSocket, close };
}

/** What fails for one socket ends that one: where a runtime calls this, nobody else would catch it. */
function guarded<E>(handle: (event: E, ws: WSContext) => void): (event: E, ws: WSContext) => void {
  return (event, ws) => {
    try {
      handle(event, ws);
    } catch (error) {
      log.error("a socket failed: {error}", { error });
      ws.close(CLOSE.failed, "something went wrong here");
    }
  };
}

/** A socket of the package `ws`, which Node's entry uses. */
interface Pinged {
  ping(): void;
  terminate(): void;
  on(event: "pong", listener: () => void): void;
}

function canPing(raw: unknown): raw is Pinged {
  return typeof raw === "object" && raw !== null && "ping" in raw && "on" in raw && "terminate" in raw;
}

function goAway(ws: WSContext): void {
  ws.close(CLOSE.goingAway, "the server is going away");
}

function terminate(raw: unknown): void {
  if (typeof raw === "object" && raw !== null && "terminate" in raw && typeof raw.terminate === "function")
    raw.terminate();
}
