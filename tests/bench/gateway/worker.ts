// The worker of the bench, in a process of its own.
import { connect, createWorker } from "../../../engine/index.ts";
import { go, talk, work } from "./definitions.ts";

const millrace = await connect({ url: process.argv[2]!, workflows: [talk, work] });
const worker = createWorker(millrace, { concurrency: Number(process.argv[3]) });
await worker.start();
process.on("message", go);
