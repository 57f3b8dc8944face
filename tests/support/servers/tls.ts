import { restartableRedis } from "../restartable-redis.ts";
import { temporaryDir } from "../run.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { serverPort } from "./ports.ts";

export interface TlsRedis extends AsyncDisposable {
  /** `rediss://localhost:PORT`: the certificate names `localhost`, and not the address. */
  readonly url: string;
  /** The same server without TLS, for a test to look into it. */
  readonly plainUrl: string;
  readonly certificates: Certificates;
}

/** What a server is started with to speak TLS at a port, and to ask no certificate of clients. */
export function tlsArgs(port: number, { ca, cert, key }: Certificates): string[] {
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca];
  return ["--tls-port", String(port), ...files, "--tls-auth-clients", "no"];
}

/** A Redis behind TLS with a private authority, which a process knows by `NODE_EXTRA_CA_CERTS`. For `await using`. */
export async function tlsRedis(): Promise<TlsRedis> {
  const certificates = await makeCertificates(await temporaryDir());
  const port = await serverPort();
  const redis = await restartableRedis({ appendOnly: false, args: tlsArgs(port, certificates) });
  return {
    ...{ url: `rediss://localhost:${port}`, plainUrl: redis.url, certificates },
    [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
  };
}
