import type { WSEvents } from "hono/ws";
import type { Caller } from "../access/caller.ts";
import type { Gateway } from "../context.ts";
import { problemOf } from "../problem.ts";
import { CLOSE } from "./close-codes.ts";
import { hear } from "./hear.ts";
import { runMessage } from "./messages.ts";
import { SocketSignals } from "./signals.ts";
import { LiveSocket } from "./socket.ts";

/** A socket that carries one run's events, takes signals, and closes with 1000 when the run has ended. */
export function runEvents(gateway: Gateway, caller: Caller, run: string, after: string | undefined): WSEvents {
  const signals = new SocketSignals(gateway, caller);
  let socket: LiveSocket | undefined;

  async function feed(socket: LiveSocket): Promise<void> {
    try {
      await socket.follow(run, after, socket.signal);
      await signals.answered();
      socket.close(CLOSE.done, "the run has ended");
    } catch (error) {
      gateway.log.warn("{run} could not be watched for a socket: {error}", { run, error });
      socket.refuse(problemOf(error));
      socket.close(CLOSE.failed, "the run cannot be watched");
    }
  }

  return {
    onOpen(_, ws) {
      socket = new LiveSocket(ws, gateway, caller);
      void feed(socket);
    },
    onMessage: (event) =>
      hear(socket, event.data, runMessage, (from, asked) =>
        asked.type === "ping" ? from.pong() : signals.take(from, asked),
      ),
    onClose: () => socket?.closed(),
    onError: () => socket?.closed(),
  };
}
