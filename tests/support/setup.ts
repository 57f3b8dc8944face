import { afterAll, beforeAll } from "vitest";
import { endProcesses } from "./process.ts";
import { cleanRedis } from "./redis.ts";

/** What keeps a process alive once its work is done, as Node names it. Other kinds pass by themselves. */
const LASTING = ["Timeout", "Immediate", "TCPSocketWrap", "TCPServerWrap", "PipeWrap", "ProcessWrap", "UDPWRAP"];
/** Longer than the 2 s that ioredis gives a socket to close by itself. */
const SETTLING_MS = 5_000;

let before: string[] = [];

beforeAll(() => {
  // The runner's pipes. A timer that it has now is gone later.
  before = process.getActiveResourcesInfo().filter((kind) => kind !== "Timeout");
});

// Registered before any hook of the file, so it runs after all of them.
afterAll(async () => {
  const processes = await endProcesses();
  await cleanRedis();
  const left = [...processes, ...(await lasting())];
  if (left.length > 0) throw new Error(`This file left behind: ${left.join(", ")}`);
});

/** What is open now beyond what was open before the first test, once it has had the time to close. */
async function lasting(): Promise<string[]> {
  for (const deadline = Date.now() + SETTLING_MS; ; ) {
    const left = [...process.getActiveResourcesInfo()];
    for (const kind of before) if (left.includes(kind)) left.splice(left.indexOf(kind), 1);
    const kept = left.filter((kind) => LASTING.includes(kind));
    if (kept.length === 0 || Date.now() > deadline) return kept;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
