const LONGEST = 10_000;

/** What a function of a user's has to give where a key is asked for. */
export const KEY_RULE = `a text of 1 to ${LONGEST} characters`;

/** Whether it is such a key. */
export function isKey(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= LONGEST;
}
