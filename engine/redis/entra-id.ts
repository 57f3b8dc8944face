import { MillraceError } from "../errors.ts";
import type { CredentialsProvider } from "./credentials.ts";

/** A credential of `@azure/identity`, as far as it is used here. */
export interface TokenCredential {
  getToken(scope: string): Promise<{ token: string; expiresOnTimestamp: number } | null>;
}

/** Who signs in to Redis. */
export interface EntraIdOptions {
  /** Whose tokens sign in. Default: a `DefaultAzureCredential` of `@azure/identity`, which is then to be installed. */
  credential?: TokenCredential;
  /** The Redis user. Default: the object id of whom the token is of, as Azure names its Redis users. */
  username?: string;
}

const SCOPE = "https://redis.azure.com/.default";

/**
 * Credentials of Azure Managed Redis and Azure Cache for Redis by Microsoft Entra ID, for `connect({ credentials })`.
 *
 * (https://learn.microsoft.com/azure/redis/entra-for-authentication)
 */
export function entraId({ credential, username }: EntraIdOptions = {}): CredentialsProvider {
  let from = credential;
  return async () => {
    from ??= await defaultCredential();
    const given = await from.getToken(SCOPE);
    if (given === null) throw new MillraceError("no_token", "Microsoft Entra ID gave no token.");
    const { token, expiresOnTimestamp } = given;
    return { username: username ?? objectIdOf(token), password: token, expiresAt: new Date(expiresOnTimestamp) };
  };
}

/** @throws MillraceError `no_azure_identity` */
async function defaultCredential(): Promise<TokenCredential> {
  // By a name that compilers and bundlers do not follow: few need it.
  const name: string = "@azure/identity";
  let identity: { DefaultAzureCredential: new () => TokenCredential };
  try {
    identity = await import(name);
  } catch (cause) {
    throw new MillraceError("no_azure_identity", "Install @azure/identity, or give a credential.", { cause });
  }
  return new identity.DefaultAzureCredential();
}

/** A token is three parts of base64url; the middle one says of whom it is (RFC 7519). */
function objectIdOf(token: string): string {
  let oid: unknown;
  try {
    const payload = atob(token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/"));
    ({ oid } = JSON.parse(payload) as { oid?: unknown });
  } catch (cause) {
    throw new MillraceError("bad_token", "The token of Microsoft Entra ID cannot be read.", { cause });
  }
  if (typeof oid !== "string") throw new MillraceError("bad_token", "The token says not of whom it is: it has no oid.");
  return oid;
}
