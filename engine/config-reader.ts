/** What a key of the configuration looks like. */
export const CONFIG_KEY_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$/;

/** The configuration as code reads it: without waiting, from this process's copy. */
export interface ConfigReader {
  /**
   * The value of a key; undefined without one. It is shared and frozen. Its type is the caller's word: check what others
   * may have written.
   */
  get<T = unknown>(key: string): T | undefined;
  /**
   * A feature flag: a key whose value is `true`, `false`, or `{percent}` for that share of all units. A unit that is in at
   * 10 percent is still in at 20.
   */
  flag(name: string, options?: FlagOptions): boolean;
}

/** How a flag is read. */
export interface FlagOptions {
  /** Where the key has no value, or none that is a flag, or a share and there is no unit. Default false. */
  default?: boolean;
  /** Whose flag it is: the id of a user, an account … For handlers, the run unless they say otherwise. */
  unit?: string;
}

/** What a value says of a unit; undefined if it says nothing. */
export function flagOf(name: string, value: unknown, unit: string | undefined): boolean | undefined {
  if (typeof value === "boolean") return value;
  const percent = (typeof value === "object" && value !== null && "percent" in value ? value : {}).percent;
  if (typeof percent !== "number") return undefined;
  if (percent <= 0) return false;
  if (percent >= 100) return true;
  return unit === undefined ? undefined : place(`${name}\n${unit}`) * 100 < percent;
}

/**
 * Where a text falls between 0 and 1, the same everywhere and for ever: FNV-1a, then the finish of MurmurHash3, without
 * which texts that differ in their last letter would fall beside each other.
 */
function place(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000;
}
