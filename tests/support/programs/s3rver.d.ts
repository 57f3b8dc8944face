/** What is used of it; it has no types of its own. */
declare module "s3rver" {
  import type { IncomingMessage, ServerResponse } from "node:http";
  import type { Readable } from "node:stream";

  interface Context {
    req: IncomingMessage & { url: string };
    res: ServerResponse;
    method: string;
    query: Record<string, unknown>;
    status: number;
    body: unknown;
  }

  export interface S3Object {
    bucket: string;
    key: string;
    content: Readable | null;
    range?: { start: number; end: number };
  }

  export default class S3rver {
    constructor(options: Record<string, unknown>);
    readonly middleware: ((ctx: Context, next: () => Promise<void>) => Promise<void>)[];
    readonly store: {
      getResourcePath(bucket: string, key: string | undefined, resource: string): string;
      putObject(object: S3Object): Promise<{ size: number }>;
      getObject(bucket: string, key: string, range?: { start?: number; end?: number }): Promise<S3Object | null>;
    };
    run(): Promise<unknown>;
  }
}
