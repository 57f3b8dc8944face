import { refusal } from "../edge/refusal.ts";
import { SettingError } from "../settings.ts";
import { type EdgeBindings, type EdgeGateway, type EdgeOptions, startEdge } from "./edge-start.ts";

/** The one object of a deployment: a connection that was made for one request of a Worker cannot be used in another. */
const NAME = "gateway";

/**
 * The gateway on workerd. `worker` is the Worker's default export, which hands each request to the Durable Object of the class
 * `MillraceGateway`, by the binding `MILLRACE_GATEWAY`. That one has the connections to Redis, which it opens with the first request,
 * by bindings that are called what a gateway's environment variables are.
 */
export function edgeGateway(options: EdgeOptions): EdgeGateway {
  class MillraceGateway {
    readonly #env: EdgeBindings;
    #serving: ReturnType<typeof startEdge> | undefined;
    constructor(_state: unknown, env: EdgeBindings) {
      this.#env = env;
    }
    async fetch(request: Request): Promise<Response> {
      this.#serving ??= startEdge(options, this.#env);
      const serving = this.#serving;
      const serve = await serving.catch((error: unknown) => {
        // The next request tries again.
        if (this.#serving === serving) this.#serving = undefined;
        return () => refusal(error);
      });
      return serve(request);
    }
  }
  const none = new SettingError(
    "There is no binding MILLRACE_GATEWAY, to the Durable Object of the class MillraceGateway.",
  );
  const fetch = async (request: Request, { MILLRACE_GATEWAY: objects }: EdgeBindings) =>
    objects === undefined ? refusal(none) : objects.get(objects.idFromName(NAME)).fetch(request);
  return { MillraceGateway, worker: { fetch } };
}
