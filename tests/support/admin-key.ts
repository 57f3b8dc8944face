import { connect } from "../../engine/index.ts";

/** A key that may do everything in a namespace, as `Authorization` has it. */
export async function adminKey(namespace: string, url: string): Promise<{ Authorization: string }> {
  const millrace = await connect({ url, namespace, workflows: [] });
  try {
    const { secret } = await millrace.access.keys.create({ name: "test", scopes: ["admin"] });
    return { Authorization: `Bearer ${secret}` };
  } finally {
    await millrace.close();
  }
}
