import { detectLanguage } from "../text/language.ts";
import { sentencesOf } from "../text/sentences.ts";
import type { InferenceInput } from "./input.ts";
import { textOfMessage } from "./messages.ts";
import { isAsk, taskOf } from "./task.ts";

/** What is asked, and what else there is to find an answer in. */
export interface Asked {
  prompt: string;
  system: string;
}

/**
 * A request as the embedded model takes it. Of a conversation the user's last message is what is asked; if it has no text
 * with it, that is what the user has said before, without what was asked then. What the assistant has said is no source.
 */
export function askedOf({ prompt, system = "", messages }: InferenceInput): Asked {
  if (messages === undefined) return { prompt: prompt ?? "", system };
  const said = (...roles: string[]) => messages.filter(({ role }) => roles.includes(role)).map(textOfMessage);
  const users = said("user");
  const last = users.pop() ?? "";
  const earlier = users.map(withoutAsks).filter((text) => text !== "");
  const rules = said("system", "developer", "tool");
  const alone = taskOf(last).sentences.length === 0;
  if (alone) return { prompt: [...earlier, last].join("\n\n"), system: rules.join("\n\n") };
  return { prompt: last, system: [...rules, ...earlier].join("\n\n") };
}

function withoutAsks(text: string): string {
  const sentences = [...sentencesOf(text, detectLanguage(text))];
  return sentences.filter((sentence) => !isAsk(sentence)).join("\n");
}
