import ipaddr from "ipaddr.js";
import { MillraceError } from "../../engine/index.ts";

/** Where webhooks may be sent beside public addresses over https. */
export interface WebhookPolicy {
  /** Host names, whatever they resolve to, addresses, and ranges of addresses in CIDR form, that may be private. */
  allow?: readonly string[];
  /** Whether http is taken too. Only for development: what is sent can be read and changed on its way. */
  http?: boolean;
}

type Range = ReturnType<typeof ipaddr.parseCIDR>;

const MOST_CHARACTERS = 2_048;
/** Public by their range, and of a cloud's own inside: the agent of Azure's machines. */
const INSIDE = new Set(["168.63.129.16"]);
/** Of version 6, all that is public is here; what stands before it can carry an address of version 4. */
const GLOBAL_V6 = ipaddr.parseCIDR("2000::/3");

/** Which URLs and addresses webhooks may be sent to: what is not public is refused, unless it is allowed. */
export class Destinations {
  readonly #hosts = new Set<string>();
  readonly #ranges: Range[] = [];
  readonly #http: boolean;

  /** @throws MillraceError `bad_option` for an entry of `allow` that is none */
  constructor({ allow = [], http = false }: WebhookPolicy = {}) {
    this.#http = http;
    for (const entry of allow) {
      const range = rangeOf(entry);
      if (range !== undefined) this.#ranges.push(range);
      else if (/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(entry)) this.#hosts.add(entry.toLowerCase());
      else
        throw new MillraceError("bad_option", `${JSON.stringify(entry)} is no host name, no address and no CIDR range`);
    }
  }

  /** Why a webhook cannot have this URL, as far as the URL says; undefined if it can. */
  refusal(text: string): string | undefined {
    if (text.length > MOST_CHARACTERS) return `At most ${MOST_CHARACTERS} characters.`;
    if (!URL.canParse(text)) return "Not a URL.";
    const url = new URL(text);
    if (url.protocol !== "https:" && !(this.#http && url.protocol === "http:"))
      return this.#http ? "It must be https or http." : "It must be https.";
    if (url.username !== "" || url.password !== "") return "A URL with a user or a password is not taken.";
    if (url.hash !== "") return "A URL with a fragment is not taken.";
    const host = hostOf(url);
    if (ipaddr.isValid(host) && !this.mayReach(host, host)) return "Its address is not a public one.";
    return undefined;
  }

  /** Whether a connection to this address may be opened for that host. */
  mayReach(host: string, address: string): boolean {
    if (this.#hosts.has(host.toLowerCase())) return true;
    if (!ipaddr.isValid(address)) return false;
    // One of version 4 that is written as one of version 6 is that of version 4.
    const parsed = ipaddr.process(address);
    if (this.#ranges.some((range) => isIn(parsed, range))) return true;
    if (parsed.range() !== "unicast" || INSIDE.has(parsed.toString())) return false;
    return parsed.kind() === "ipv4" || isIn(parsed, GLOBAL_V6);
  }
}

/** The host of a URL, an address of version 6 without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

function isIn(address: ipaddr.IPv4 | ipaddr.IPv6, range: Range): boolean {
  return address.kind() === range[0].kind() && address.match(range);
}

function rangeOf(entry: string): Range | undefined {
  if (ipaddr.isValidCIDR(entry)) return ipaddr.parseCIDR(entry);
  if (!ipaddr.IPv4.isValidFourPartDecimal(entry) && !ipaddr.IPv6.isValid(entry)) return undefined;
  const address = ipaddr.process(entry);
  return [address, address.kind() === "ipv4" ? 32 : 128] as Range;
}
