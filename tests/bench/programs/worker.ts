// A worker of Millrace, in a process of its own.
import { connect, createWorker, type Millrace, type Worker } from "../../../engine/index.ts";
import { serves } from "../support/child.ts";
import { definitionsOf, go, workedOn } from "../support/definitions.ts";

interface Setting {
  url: string;
  namespace?: string;
  /** Of `definitionsOf`. */
  set: string;
  concurrency: number;
}

let millrace: Millrace | undefined;
let worker: Worker | undefined;

serves({
  async start({ url, namespace, set, concurrency }: Setting) {
    millrace = await connect({ url, ...(namespace === undefined ? {} : { namespace }), workflows: definitionsOf(set) });
    worker = createWorker(millrace, { concurrency });
    await worker.start();
  },
  async stop() {
    await worker?.stop();
    await millrace?.close();
  },
  go,
  workedOn,
});
