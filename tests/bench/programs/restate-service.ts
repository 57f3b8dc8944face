// The service of Restate that has the three steps, in a process of its own: DIR of the packages.
import { serves } from "../support/child.ts";

interface Context {
  run<T>(name: string, action: () => T): Promise<T>;
}

/** The little of its SDK that is used here; it is not installed where types are checked. */
interface Sdk {
  service(definition: { name: string; handlers: Record<string, (ctx: Context, input: unknown) => unknown> }): object;
  serve(options: { services: object[]; port: number }): Promise<number>;
}

const sdk = (await import(`${process.argv[2]}/node_modules/@restatedev/restate-sdk/dist/index.js`)) as Sdk;
const chain = sdk.service({
  name: "chain",
  handlers: {
    call: async (ctx, input) => {
      const one = await ctx.run("one", () => input);
      const two = await ctx.run("two", () => one);
      return ctx.run("three", () => two);
    },
  },
});
serves({}, await sdk.serve({ services: [chain], port: 0 }));
