import { bareLoop } from "./bare-loop.ts";
import { bullmq } from "./bullmq.ts";
import { bullmqFlow } from "./bullmq-flow.ts";
import { millrace } from "./millrace.ts";

/** Whose figures are compared, by the names of their columns. */
export const contenders = { millrace, bullmq, bullmqFlow, bareLoop };
export type ContenderName = keyof typeof contenders;
