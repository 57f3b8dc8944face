import type { Context } from "hono";
import type { StartedRun } from "../engine/index.ts";
import type { Env } from "./context.ts";

/** Where a client goes on with a run. */
export function runLinks(id: string): { self: string; events: string; cancel: string } {
  const self = `/v1/runs/${id}`;
  return { self, events: `${self}/events`, cancel: `${self}/cancel` };
}

/** The 202 to a run that was accepted. */
export function accepted(c: Context<Env>, started: StartedRun, more: Record<string, unknown> = {}): Response {
  const { id, workflow, version, status, durability } = started;
  const links = runLinks(id);
  return c.json({ id, workflow, version, status, durability, links, ...more }, 202, { Location: links.self });
}
