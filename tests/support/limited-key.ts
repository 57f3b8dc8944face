import type { CreateKeyOptions } from "../../engine/index.ts";
import type { TestGateway } from "./gateway.ts";

export type KeyLimits = Pick<CreateKeyOptions, "rateLimit" | "quota">;

let tenants = 0;

/** Makes a key of a tenant, by default of one of its own, and calls a gateway with it. */
export async function limitedKey(gateway: TestGateway, limits: KeyLimits, tenant = `t${++tenants}`) {
  const { secret } = await gateway.millrace.access.keys.create({ tenant, name: "test", scopes: ["admin"], ...limits });
  const call = (method: string, path: string, body?: unknown) =>
    gateway.call(method, path, body, { Authorization: `Bearer ${secret}` });
  return { tenant, call };
}
