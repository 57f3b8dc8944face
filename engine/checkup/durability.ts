import { type DurabilityOption, givenBy, wantedOf } from "../durability.ts";
import { MillraceError } from "../errors.ts";
import { type Capabilities, worst } from "../redis/capabilities.ts";
import type { Call, Client } from "../redis/client.ts";
import { type Finding, fail, ok } from "./finding.ts";
import type { ServerFacts } from "./server.ts";

/** Which levels a start can be confirmed at, and whether the one that is wanted is among them. */
export async function durabilityFinding(
  client: Client,
  servers: readonly ServerFacts[],
  wanted: DurabilityOption | undefined,
): Promise<Finding> {
  const known = servers.map((server) => server.known).reduce(worst);
  const refusal = await refusalOf(client, known, wanted);
  const found = (await reachable(client, known)).join(", ");
  if (refusal === undefined) return ok("durability", found);
  const advice = "Set the server up for it, or ask for less in MILLRACE_DURABILITY.";
  return fail("durability", `${refusal} Reached are: ${found}.`, advice);
}

async function reachable(client: Client, known: Capabilities): Promise<string[]> {
  const disk = (await refusalOf(client, known, "disk")) === undefined;
  const byItself = givenBy(known) === "disk";
  const { replicas = 0 } = known;
  const replicated = replicas > 0 && (await refusalOf(client, known, { replicas })) === undefined;
  return [
    "memory",
    ...(disk ? [byItself ? "disk, without being asked for" : "disk, if it is asked for"] : []),
    ...(replicated ? [`replicas up to ${replicas}`] : []),
  ];
}

/** Why this cannot be had; undefined if it can. */
async function refusalOf(
  client: Client,
  known: Capabilities,
  wanted: DurabilityOption | undefined,
): Promise<string | undefined> {
  if (typeof wanted === "object" && known.replicas !== undefined && known.replicas < wanted.replicas)
    return `${wanted.replicas} replicas are to confirm, and ${known.replicas} are connected.`;
  const atEach = (...call: Call) => Promise.all(client.masters().map((master) => master.call(...call)));
  try {
    await wantedOf(wanted, known, atEach);
    return undefined;
  } catch (error) {
    if (error instanceof MillraceError) return error.message;
    throw error;
  }
}
