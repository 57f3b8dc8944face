// The same on workerd: tries the store that its binding MILLRACE_BLOBS names.
import { openEdgeBlobs } from "../../../engine/edge-blobs.ts";
import { parseBlobsUrl } from "../../../engine/index.ts";
import { tryBlobs } from "../try-blobs.ts";

type Bindings = Record<string, string>;

export class MillraceGateway {
  readonly #env: Bindings;

  constructor(_: unknown, env: Bindings) {
    this.#env = env;
  }

  async fetch(): Promise<Response> {
    const { REDIS_URL = "", MILLRACE_NAMESPACE = "", MILLRACE_BLOBS = "" } = this.#env;
    const place = parseBlobsUrl(MILLRACE_BLOBS) as Parameters<typeof openEdgeBlobs>[0];
    const redis = { url: REDIS_URL, namespace: MILLRACE_NAMESPACE };
    const { blobs, close } = await openEdgeBlobs(place, { env: this.#env, redis });
    try {
      await tryBlobs(blobs);
      return new Response(`well: ${place.scheme}:`);
    } catch (error) {
      return new Response((error as Error).stack ?? String(error), { status: 500 });
    } finally {
      close();
    }
  }
}

interface Objects {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(request: Request): Promise<Response> };
}

export default {
  fetch: (request: Request, { MILLRACE_GATEWAY: objects }: { MILLRACE_GATEWAY: Objects }) =>
    objects.get(objects.idFromName("one")).fetch(request),
};
