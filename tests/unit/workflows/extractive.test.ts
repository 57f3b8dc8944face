import { describe, expect, test } from "vitest";
import { taskOf } from "../../../workflows/inference/task.ts";

const text = "The tower is in Paris. It is 330 metres tall. Gustave Eiffel's company built it.";
const sentences = ["The tower is in Paris.", "It is 330 metres tall.", "Gustave Eiffel's company built it."];

describe("a prompt is taken apart", () => {
  test.each([
    ["a question before the text", `How tall is it?\n\n${text}`, "How tall is it?"],
    ["a question after the text", `${text} How tall is it?`, "How tall is it?"],
    ["labels", `Context: ${text}\nQuestion: How tall is it?`, "How tall is it?"],
    ["an order", `Find the height of the tower:\n${text}`, "Find the height of the tower:"],
    ["an order in the same line", `List the builders of the tower: ${text}`, "List the builders of the tower:"],
    ["a summary", `Summarize the following text:\n${text}`, undefined],
    ["a summary in German", `Fasse den Text zusammen: ${text}`, undefined],
    ["tl;dr", `${text}\n\nTL;DR`, undefined],
    ["nothing but text", text, undefined],
  ])("%s", (_, prompt, question) => {
    expect(taskOf(prompt)).toMatchObject({ question, sentences });
  });

  test.each(["What is the capital of France?", "Write a poem about spring.", "Hello"])(
    "without a text: %s",
    (prompt) => {
      expect(taskOf(prompt).sentences.length).toBeLessThan(2);
    },
  );

  test("the system prompt is searched as well", () => {
    const { question, background } = taskOf("How tall is it?", `You are a helpful assistant. ${text}`);
    expect(question).toBe("How tall is it?");
    expect(background).toEqual(["You are a helpful assistant.", ...sentences]);
  });
});
