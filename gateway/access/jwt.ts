import { decodeJwt, errors, type JWTPayload, jwtVerify } from "jose";
import { ID_PATTERN, MillraceError, SCOPES, type Scope } from "../../engine/index.ts";
import { ProblemError } from "../problem.ts";
import { IssuerKeys, IssuerUnavailable, isSafe } from "./issuer-keys.ts";

/** Signatures that a token may have: none that is made with a secret that both sides have. */
const JWT_ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
] as const;

/** Whose tokens are taken, and what they say. */
export interface JwtSettings {
  /** As the tokens' `iss` has it. */
  issuer: string;
  /** The tokens' `aud` has to have one of these. */
  audience: string | readonly string[];
  /** Where the issuer's keys are. Default: where its OpenID configuration says. */
  jwksUrl?: string;
  /** The claim that names the tenant. */
  tenantClaim: string;
  /** The claim with the scopes: a text with spaces between them, or a list; what is no scope of ours is left out. Default `scope`. */
  scopesClaim?: string;
  /** Which signatures are taken, of RS, PS and ES with 256, 384 or 512, EdDSA and Ed25519. Default: all. */
  algorithms?: readonly string[];
  /** By how much clocks may differ. Default 30,000. */
  toleranceMs?: number;
  /** How long a read of the issuer's keys may take. Default 3,000. */
  timeoutMs?: number;
}

/** Whose a token is. */
export interface JwtIdentity {
  issuer: string;
  /** The token's `sub`, if it has one. */
  subject?: string;
  tenant: string;
  scopes: Scope[];
  /** ISO 8601. */
  expiresAt: string;
}

/** Takes the tokens of some issuers. */
export interface JwtVerifier {
  /**
   * Whose a token is. The issuer's keys are read when a token is signed with one that is not known, at most every 30 s, and again
   * after 10 minutes.
   *
   * @throws ProblemError 401 `invalid_token` for whatever is wrong with it; 503 `issuer_unavailable` if its issuer's keys cannot
   *   be read
   */
  verify(token: string): Promise<JwtIdentity>;
}

/** More than this is not looked at. */
const MOST_CHARACTERS = 16_384;
const TOLERANCE_MS = 30_000;
const TIMEOUT_MS = 3_000;

/** Whether a credential looks like a token, and not like a key. */
export function isJwt(text: string): boolean {
  return /^[\w-]+\.[\w-]*\.[\w-]*$/.test(text);
}

/** Takes the tokens of these issuers. @throws MillraceError `bad_option` for settings that cannot be */
export function jwtVerifier(issuers: readonly JwtSettings[]): JwtVerifier {
  const known = new Map(issuers.map((settings) => [settings.issuer, issuerOf(settings)]));
  return {
    async verify(token) {
      const issuer = known.get(issuerIn(token));
      if (issuer === undefined) throw refused("is of no issuer that is known here");
      return issuer(token);
    },
  };
}

function issuerOf(settings: JwtSettings): (token: string) => Promise<JwtIdentity> {
  checkSettings(settings);
  const { issuer, audience, jwksUrl, algorithms = JWT_ALGORITHMS } = settings;
  const keys = new IssuerKeys({ issuer, jwksUrl, timeoutMs: settings.timeoutMs ?? TIMEOUT_MS });
  const options = {
    ...{ issuer, audience: [audience].flat(), algorithms: [...algorithms], requiredClaims: ["exp"] },
    clockTolerance: (settings.toleranceMs ?? TOLERANCE_MS) / 1_000,
  };
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys.get, options);
      return identityOf(payload, settings);
    } catch (error) {
      throw problemOf(error);
    }
  };
}

/** What it says before anybody knows whether that is so: only to find whose keys are to be asked. */
function issuerIn(token: string): string {
  if (token.length > MOST_CHARACTERS) throw refused("is too long");
  try {
    return decodeJwt(token).iss ?? "";
  } catch {
    throw refused("is none that can be read");
  }
}

function identityOf(payload: JWTPayload, { issuer, tenantClaim, scopesClaim = "scope" }: JwtSettings): JwtIdentity {
  const claim = (name: string): unknown => (Object.hasOwn(payload, name) ? payload[name] : undefined);
  const tenant = claim(tenantClaim);
  if (typeof tenant !== "string" || !ID_PATTERN.test(tenant)) throw refused(`names no tenant in ${tenantClaim}`);
  const said = claim(scopesClaim);
  const scopes: unknown[] = typeof said === "string" ? said.split(" ") : Array.isArray(said) ? said : [];
  return {
    issuer,
    ...(typeof payload.sub === "string" ? { subject: payload.sub } : {}),
    tenant,
    scopes: SCOPES.filter((scope) => scopes.includes(scope)),
    expiresAt: new Date(payload.exp! * 1_000).toISOString(),
  };
}

/** Errors that are about the token, and not about whoever is to say whether it is good. */
const OF_TOKEN = [
  ...[errors.JOSEAlgNotAllowed, errors.JOSENotSupported, errors.JWSInvalid, errors.JWTInvalid],
  ...[errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JWSSignatureVerificationFailed],
];

function problemOf(error: unknown): unknown {
  if (error instanceof ProblemError) return error;
  if (error instanceof errors.JWTExpired) return refused("has expired", error);
  if (error instanceof errors.JWTClaimValidationFailed) return refused(`does not fit in its ${error.claim}`, error);
  if (OF_TOKEN.some((of) => error instanceof of)) return refused("is not signed by a key of its issuer", error);
  if (!(error instanceof IssuerUnavailable) && !(error instanceof errors.JOSEError)) return error;
  const detail = "The keys of the token's issuer cannot be read at the moment. Try again.";
  return new ProblemError(503, "issuer_unavailable", detail, { headers: { "Retry-After": "5" }, cause: error });
}

/** By RFC 6750, section 3. */
function refused(what: string, cause?: unknown): ProblemError {
  const headers = { "WWW-Authenticate": 'Bearer error="invalid_token"' };
  return new ProblemError(401, "invalid_token", `The token ${what}.`, { headers, cause });
}

function checkSettings({ issuer, audience, jwksUrl, tenantClaim, algorithms }: JwtSettings): void {
  const bad = (what: string) => new MillraceError("bad_option", `The issuer ${JSON.stringify(issuer)}: ${what}.`);
  const url = jwksUrl ?? issuer;
  if (!URL.canParse(url) || !isSafe(new URL(url))) throw bad(`${JSON.stringify(url)} is no https URL`);
  const audiences = [audience].flat();
  // Without one, a token that was given for another service would be taken here.
  if (audiences.length === 0 || audiences.some((each) => typeof each !== "string" || each === ""))
    throw bad("it needs an audience");
  if (typeof tenantClaim !== "string" || tenantClaim === "") throw bad("it needs a claim that names the tenant");
  for (const each of algorithms ?? [])
    if (!(JWT_ALGORITHMS as readonly string[]).includes(each))
      throw bad(`${JSON.stringify(each)} is none of ${JWT_ALGORITHMS.join(", ")}`);
  if (algorithms?.length === 0) throw bad("it needs an algorithm");
}
