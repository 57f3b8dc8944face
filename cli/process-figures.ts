import type { Registry } from "../gateway/metrics/registry.ts";

/** Adds what is known of this process, under the names that Prometheus' own clients use. */
export function addProcessFigures(registry: Registry): void {
  const startedAt = Date.now() / 1_000 - process.uptime();
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000_000;
  };
  registry.reads(
    "process_start_time_seconds",
    "gauge",
    "When this process began, in seconds since 1970.",
    () => startedAt,
  );
  registry.reads("process_resident_memory_bytes", "gauge", "What it has in memory.", () => process.memoryUsage.rss());
  registry.reads("process_heap_bytes", "gauge", "What its JavaScript heap uses.", () => process.memoryUsage().heapUsed);
  registry.reads("process_cpu_seconds_total", "counter", "The time that it has worked.", cpu);
  let lag = 0;
  const look = () => {
    const due = performance.now() + LOOK_MS;
    setTimeout(() => {
      lag = Math.max(0, performance.now() - due) / 1_000;
      look();
    }, LOOK_MS).unref();
  };
  look();
  registry.reads("millrace_event_loop_lag_seconds", "gauge", "How late a timer was that was set lately.", () => lag);
}

const LOOK_MS = 1_000;
