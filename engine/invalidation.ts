import type { Broadcast } from "./broadcast.ts";
import { InvalidInputError } from "./errors.ts";
import { NAME_PATTERN } from "./ids.ts";
import { logger } from "./log.ts";
import { CONFIG } from "./store/broadcast-store.ts";

const log = logger("invalidation");

const SUBJECT_PATTERN = /^[^\p{Cc}]{1,200}$/u;

/** Tells every process that cached results of a topic, or of one subject in it, are void. @throws InvalidInputError */
export async function invalidate(broadcast: Broadcast, topic: string, subject: string | undefined): Promise<void> {
  checkTopic(topic);
  if (subject !== undefined) checkSubject(subject);
  await broadcast.send({ topic, subject: subject ?? "", act: "drop" });
}

/** Has the listener called for the topic from here on. @returns stops it @throws InvalidInputError */
export function onInvalidate(
  broadcast: Broadcast,
  topic: string,
  listener: (subject: string | undefined) => unknown,
): () => void {
  checkTopic(topic);
  broadcast.ready().catch((error) => log.info("not read yet, and tried again: {error}", { error }));
  return broadcast.onTopic((each, subject) => {
    if (each === topic) return listener(subject);
  });
}

export function checkTopic(topic: string): void {
  if (!NAME_PATTERN.test(topic)) throw invalid("topic", "A topic is 1 to 48 of A-Z a-z 0-9 _ -");
  if (topic === CONFIG) throw invalid("topic", `"${CONFIG}" is the configuration's own: set or delete its keys.`);
}

export function checkSubject(subject: string): void {
  if (!SUBJECT_PATTERN.test(subject))
    throw invalid("subject", "A subject is 1 to 200 characters, none of them control.");
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`The ${path} cannot be invalidated: ${message}`, [{ path: [path], message }]);
}
