import { type Caller, FOR_EVER } from "../../gateway/access/caller.ts";
import type { Limits } from "../../gateway/limits.ts";
import { type Answer, answerOf, startGateway, type TestGateway } from "./gateway.ts";
import { gatewayWorkflows } from "./gateway-workflows.ts";

export const TUS = { "Tus-Resumable": "1.0.0" };
export const OFFSET = { "Content-Type": "application/offset+octet-stream" };

/** A value of `Upload-Metadata`. */
export const metadata = (of: Record<string, string>) =>
  Object.entries(of)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString("base64")}`)
    .join(",");

/** The status of a problem, and its type. */
export const problem = ({ status, body }: Answer) => [status, body.type?.replace("urn:millrace:problem:", "")];

export const documentIn = (headers: Headers) => headers.get("millrace-document")!;

/** What tests send to a gateway's resumable uploads. */
export class TusBench {
  readonly gateway: TestGateway;

  private constructor(gateway: TestGateway) {
    this.gateway = gateway;
  }

  /** Of whose gateway the headers `x-tenant` and `x-without` say whose request it is, and what it may not do. */
  static async start(limits: Partial<Limits>): Promise<TusBench> {
    const admit = async (c: { req: { header(name: string): string | undefined } }): Promise<Caller> => ({
      tenant: c.req.header("x-tenant") ?? "default",
      name: "test",
      may: (scope) => c.req.header("x-without") !== scope,
      mayWatch: () => true,
      seesAll: true,
      hold: FOR_EVER,
    });
    const { workflows } = gatewayWorkflows();
    return new TusBench(await startGateway({ workflows, limits, door: { admit } }));
  }

  async send(method: string, path: string, headers: Record<string, string> = {}, body?: BodyInit): Promise<Answer> {
    const init = { method, headers: { ...TUS, ...headers }, ...(body === undefined ? {} : { body }) };
    return answerOf(await fetch(this.gateway.url + path, init));
  }

  create(headers: Record<string, string>, body?: BodyInit): Promise<Answer> {
    return this.send("POST", "/v1/uploads", headers, body);
  }

  /** A new upload's path. */
  async begun(length: number, more: Record<string, string> = {}): Promise<string> {
    const { status, headers } = await this.create({ "Upload-Length": String(length), ...more });
    if (status !== 201) throw new Error(`answered ${status}`);
    return headers.get("location")!;
  }

  patch(path: string, offset: number, body: BodyInit, more: Record<string, string> = {}): Promise<Answer> {
    return this.send("PATCH", path, { ...OFFSET, "Upload-Offset": String(offset), ...more }, body);
  }

  async offsetOf(path: string): Promise<string | null> {
    return (await this.send("HEAD", path)).headers.get("upload-offset");
  }
}
