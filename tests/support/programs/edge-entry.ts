// The Worker of the tests of entries: as `serve-entry.ts` is on the other runtimes, without its worker.
import { openDoor } from "../../../gateway/access/open-door.ts";
import { createApp } from "../../../gateway/app.ts";
import { edgeGateway } from "../../../gateway/entry/edge.ts";
import { failingLog, failingSockets } from "../failing.ts";
import { gatewayWorkflows } from "../gateway-workflows.ts";

const { MillraceGateway, worker } = edgeGateway({
  workflows: gatewayWorkflows().workflows,
  makeApp: (deps) =>
    createApp({
      ...deps,
      door: openDoor,
      upgradeWebSocket: failingSockets(deps.upgradeWebSocket),
      // It finds out that the reader of a stream has gone when it writes to it.
      limits: { uploadBytes: 2_000_000, heartbeatMs: 200 },
      log: failingLog,
    }),
});

export { MillraceGateway };
export default worker;
