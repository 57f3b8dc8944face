import { type AnyWorkflow, connect, type DurabilityOption, type Millrace } from "../engine/index.ts";
import { openBlobs } from "../engine/open-blobs.ts";
import type { Settings } from "./settings.ts";

/** A connection with the blob store of the settings; `close` lets go of both. */
export interface Connection {
  millrace: Millrace;
  close(): Promise<void>;
}

/** @throws what `connect` and `openBlobs` throw; nothing is open then */
export async function openConnection(
  { namespace, blobs: where }: Settings,
  url: string,
  options: { workflows: readonly AnyWorkflow[]; durability?: DurabilityOption },
): Promise<Connection> {
  const { blobs, close } = await openBlobs(where, { env: process.env, redis: { url, namespace } });
  try {
    const millrace = await connect({ url, namespace, blobs, ...options });
    return { millrace, close: () => millrace.close().finally(close) };
  } catch (error) {
    close();
    throw error;
  }
}
