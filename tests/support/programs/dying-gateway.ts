// A gateway that is killed when it has made something, before the reply is stored.
import { connect } from "../../../engine/index.ts";
import { keyDoor } from "../../../gateway/access/key-door.ts";
import { createApp } from "../../../gateway/app.ts";
import { serve } from "../../../gateway/entry/node.ts";

const [url = "", namespace = "", leaseMs = ""] = process.argv.slice(2);
const millrace = await connect({ url, namespace, workflows: [] });
const { requests } = millrace;
const dying = {
  ...millrace,
  requests: {
    begin: requests.begin.bind(requests),
    leave: requests.leave.bind(requests),
    reserve: requests.reserve.bind(requests),
    answer: () => {
      process.kill(process.pid, "SIGKILL");
      return new Promise<never>(() => {});
    },
  },
};
const listening = await serve(
  (upgradeWebSocket) =>
    createApp({
      ...{ millrace: dying, door: keyDoor(millrace.access), upgradeWebSocket },
      limits: { idempotencyLeaseMs: Number(leaseMs) },
    }),
  { host: "127.0.0.1", port: 0 },
);
console.log(`listens on ${listening.port}`);
