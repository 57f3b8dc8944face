import * as v from "valibot";
import { check, parseJson } from "../json.ts";
import { problemOf } from "../problem.ts";
import { messageId } from "./messages.ts";
import type { LiveSocket } from "./socket.ts";

/**
 * Hands what a client says to `obey`, if it fits the schema. Whatever is wrong with it the client is told, with the id that it
 * gave the message.
 */
export function hear<S extends v.GenericSchema>(
  socket: LiveSocket | undefined,
  data: unknown,
  schema: S,
  obey: (socket: LiveSocket, asked: v.InferOutput<S>) => void,
): void {
  if (socket === undefined) return;
  let about = {};
  try {
    const text = socket.textOf(data);
    if (text === undefined) return;
    const said = parseJson(text, "message");
    if (v.is(identified, said)) about = { id: said.id };
    obey(socket, check(schema, said, "message"));
  } catch (error) {
    socket.refuse(problemOf(error), about);
  }
}

const identified = v.object({ id: messageId });
