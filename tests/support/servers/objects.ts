import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { BlobServiceClient, type ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { type StartedProcess, startFile, startProgram } from "../process.ts";
import { temporaryDir } from "../run.ts";

const require = createRequire(import.meta.url);

export interface S3Server {
  endpoint: string;
  bucket: string;
  dir: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  stop(): Promise<void>;
}

/** A server that speaks the protocol of S3 and checks signatures, with one bucket. */
export async function startS3(): Promise<S3Server> {
  const [dir, bucket] = [await temporaryDir(), "documents"];
  // The only key that this server knows, with a secret of its own.
  const credentials = { accessKeyId: "S3RVER", secretAccessKey: randomBytes(20).toString("hex") };
  const args = [dir, bucket, credentials.secretAccessKey];
  const server = startFile("node", "tests/support/programs/s3.ts", { args });
  const line = await server.line(/listening on /, 60_000);
  const port = /:(\d+)$/.exec(line)![1];
  return { endpoint: `http://127.0.0.1:${port}`, bucket, dir, credentials, stop: () => stop(server) };
}

export interface AzureServer {
  endpoint: string;
  account: string;
  key: string;
  stop(): Promise<void>;
}

/** The container that tests use. */
export const container = "documents";

/** The container, past the store. */
export function rawContainer({ account, endpoint, key }: AzureServer): ContainerClient {
  const credential = new StorageSharedKeyCredential(account, key);
  return new BlobServiceClient(endpoint, credential).getContainerClient(container);
}

/** A server that speaks the protocol of Azure Blob Storage. */
export async function startAzure(): Promise<AzureServer> {
  const [account, key] = ["acmedocuments", randomBytes(32).toString("base64")];
  const options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--location", await temporaryDir()];
  const more = ["--disableTelemetry", "--skipApiVersionCheck", "--silent"];
  const env = { AZURITE_ACCOUNTS: `${account}:${key}` };
  const program = require.resolve("azurite/dist/src/blob/main.js");
  const server = startProgram(process.execPath, [program, ...options, ...more], { env });
  const line = await server.line(/successfully listens on /, 60_000);
  const [address] = /http:\/\/\S+$/.exec(line)!;
  return { endpoint: `${address}/${account}`, account, key, stop: () => stop(server) };
}

async function stop(server: StartedProcess): Promise<void> {
  await server.stop();
}
