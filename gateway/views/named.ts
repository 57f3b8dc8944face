import { errorRecord, problem } from "./common.ts";
import { documentView } from "./documents.ts";
import { reset, runEvent } from "./events.ts";
import {
  configEntry,
  deadLetter,
  deadLetterDetails,
  operation,
  queue,
  subscription,
  usageView,
  worker,
  workflowView,
} from "./operator.ts";
import { itemView, runSummary, runView } from "./runs.ts";
import { scheduleSummary, scheduleView } from "./schedules.ts";

/** The schemas that clients know by a name. */
export const NAMED = {
  Problem: problem,
  Error: errorRecord,
  Run: runView,
  RunSummary: runSummary,
  Item: itemView,
  Event: runEvent,
  Reset: reset,
  Document: documentView,
  DeadLetter: deadLetter,
  DeadLetterDetails: deadLetterDetails,
  DeadLetterOperation: operation,
  Schedule: scheduleView,
  ScheduleSummary: scheduleSummary,
  Workflow: workflowView,
  Queue: queue,
  Worker: worker,
  Subscription: subscription,
  ConfigEntry: configEntry,
  Usage: usageView,
};
