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
      limits: { uploadBytes: 2_000_000 },
      log: failingLog,
    }),
});

export { MillraceGateway };
export default worker;
