import { expect, test } from "vitest";
import { openFleet } from "../support/fleet.ts";
import { chain } from "../support/programs/fleet-workflows.ts";
import { temporaryDir } from "../support/run.ts";
import { makeCertificates } from "../support/servers/certificates.ts";
import { cluster } from "../support/servers/cluster.ts";

test("over TLS, nodes that tell their addresses are held to the name of the one that was asked first", async () => {
  const certificates = await makeCertificates(await temporaryDir());
  await using servers = await cluster({ certificates });
  const [first, second] = servers.nodes.map(({ tlsUrl }) => tlsUrl!);
  const env = { NODE_EXTRA_CA_CERTS: certificates.ca };
  await using fleet = await openFleet(servers.url, { workersUrl: `${first},${new URL(second!).host}`, env });
  const worker = await fleet.start();
  // In as many partitions as the three masters have, or nearly.
  const runs = await Promise.all(Array.from({ length: 8 }, () => fleet.millrace.runs.start(chain, { ms: 0 })));
  for (const { id } of runs)
    expect(await fleet.ended(id)).toMatchObject({ status: "completed", output: { pid: worker.pid } });
}, 60_000);
