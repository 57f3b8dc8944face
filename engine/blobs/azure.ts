import type { ContainerClient, StoragePipelineOptions } from "@azure/storage-blob";
import { MillraceError } from "../errors.ts";
import { AzureObjects } from "./azure-objects.ts";
import { ObjectBlobStore } from "./object-blobs.ts";
import { PREFIX_PATTERN } from "./objects.ts";

/** A credential of `@azure/identity`, as far as it is used here. */
export interface AzureCredential {
  getToken(scopes: string | string[]): Promise<{ token: string; expiresOnTimestamp: number } | null>;
}

/** Where in Azure Blob Storage, and who signs in. */
export interface AzureOptions {
  account: string;
  container: string;
  /** Under which everything is kept, without slashes around it. Default: nothing. */
  prefix?: string | undefined;
  /** Default `https://ACCOUNT.blob.core.windows.net`. */
  endpoint?: string | undefined;
  /**
   * A key of the account, or a shared access signature for the container (without uploads by URL), or whose tokens sign in. Default:
   * a `DefaultAzureCredential` of `@azure/identity`, which is then to be installed.
   */
  credential?: { key: string } | { sas: string } | AzureCredential | undefined;
  /** For how long one request may go on, in ms, before it is made again. Default 30,000. */
  timeoutMs?: number | undefined;
  /** Of one blob. Default: 200 GB, as many blocks as there may be. */
  maxBytes?: number | undefined;
}

const DEFAULT_MAX_BYTES = 200_000_000_000;

/**
 * Blobs in a container of Azure Blob Storage, by `@azure/storage-blob`, which is to be installed.
 *
 * @throws MillraceError `bad_blobs_url` for a place that cannot be one; `no_azure_storage`, `no_azure_identity`
 */
export async function azureBlobs(options: AzureOptions): Promise<ObjectBlobStore> {
  const { account, container, prefix = "", credential, timeoutMs = 30_000, maxBytes = DEFAULT_MAX_BYTES } = options;
  if (!/^[a-z0-9]{3,24}$/.test(account)) throw bad(`${JSON.stringify(account)} is not an account's name.`);
  if (!/^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/.test(container))
    throw bad(`${JSON.stringify(container)} is not a container's name.`);
  if (!PREFIX_PATTERN.test(prefix)) throw bad("A prefix is parts of A-Z a-z 0-9 _ . - with slashes between them.");
  const endpoint = options.endpoint ?? `https://${account}.blob.core.windows.net`;
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint)) throw bad("An endpoint is a URL.");
  const service = { account, endpoint: endpoint.replace(/\/$/, ""), credential, timeoutMs };
  const { client, signs } = await containerOf(service, container);
  return new ObjectBlobStore(new AzureObjects(client, { prefix, timeoutMs, signs }), { maxBytes });
}

interface Service {
  account: string;
  endpoint: string;
  credential: AzureOptions["credential"];
  timeoutMs: number;
}

async function containerOf({ account, endpoint, credential, timeoutMs }: Service, container: string) {
  const azure = await load<typeof import("@azure/storage-blob")>(() => import("@azure/storage-blob"));
  const tries = { maxTries: 3, retryDelayInMs: 100, maxRetryDelayInMs: 2_000, tryTimeoutInMs: timeoutMs };
  const options: StoragePipelineOptions = { retryOptions: tries, userAgentOptions: { userAgentPrefix: "millrace" } };
  const opened = (client: ContainerClient, signs?: Signs) => ({ client, signs });
  if (credential !== undefined && "sas" in credential) {
    const url = `${endpoint}?${credential.sas.replace(/^\?/, "")}`;
    return opened(new azure.BlobServiceClient(url, undefined, options).getContainerClient(container));
  }
  const permissions = azure.BlobSASPermissions.parse("cw");
  if (credential !== undefined && "key" in credential) {
    const shared = new azure.StorageSharedKeyCredential(account, credential.key);
    const client = new azure.BlobServiceClient(endpoint, shared, options).getContainerClient(container);
    return opened(client, (blob, expiresOn) => blob.generateSasUrl({ permissions, expiresOn }));
  }
  const service = new azure.BlobServiceClient(endpoint, credential ?? (await defaultCredential()), options);
  return opened(service.getContainerClient(container), async (blob, expiresOn) => {
    // A clock that is a little ahead must not make it one that is not good yet.
    const startsOn = new Date(Date.now() - 300_000);
    const key = await service.getUserDelegationKey(startsOn, expiresOn, {
      abortSignal: AbortSignal.timeout(timeoutMs),
    });
    return blob.generateUserDelegationSasUrl({ permissions, startsOn, expiresOn }, key);
  });
}

/** Makes a URL by which one may write a blob until then. */
export type Signs = (blob: ReturnType<ContainerClient["getBlobClient"]>, expiresOn: Date) => Promise<string>;

async function defaultCredential(): Promise<AzureCredential> {
  // By a name that compilers and bundlers do not follow: few need it.
  const name: string = "@azure/identity";
  try {
    const identity: { DefaultAzureCredential: new () => AzureCredential } = await import(name);
    return new identity.DefaultAzureCredential();
  } catch (cause) {
    throw new MillraceError("no_azure_identity", "Install @azure/identity, or give a key or a signature.", { cause });
  }
}

async function load<T>(module: () => Promise<T>): Promise<T> {
  try {
    return await module();
  } catch (cause) {
    throw new MillraceError("no_azure_storage", "Install @azure/storage-blob to keep blobs there.", { cause });
  }
}

function bad(message: string): MillraceError {
  return new MillraceError("bad_blobs_url", message);
}
