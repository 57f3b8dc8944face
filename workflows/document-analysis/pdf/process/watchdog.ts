// Ends its process when that takes too much memory, or nobody waits for it any more.
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

/** Unpacking takes some 100 MB/s, and rarely more than 1 GB/s. */
const EVERY_MS = 20;

const { memory, parent } = workerData as { memory: number; parent: number };

setInterval(() => {
  const orphaned = process.ppid !== parent;
  if (!orphaned && process.memoryUsage.rss() <= memory) return;
  try {
    if (!orphaned) writeSync(2, `out of memory: more than ${memory} bytes\n`);
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}, EVERY_MS);

parentPort!.postMessage("watching");
