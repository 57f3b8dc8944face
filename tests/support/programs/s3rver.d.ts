/** What is used of it; it has no types of its own. */
declare module "s3rver" {
  interface Context {
    method: string;
    query: Record<string, unknown>;
    status: number;
  }

  export default class S3rver {
    constructor(options: Record<string, unknown>);
    readonly middleware: ((ctx: Context, next: () => Promise<void>) => Promise<void>)[];
    readonly store: { getResourcePath(bucket: string, key: string | undefined, resource: string): string };
    run(): Promise<unknown>;
  }
}
