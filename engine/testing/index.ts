/** The engine's door for tests of workflows, on server runtimes. Nothing else of the engine uses it. */
export type { TestClock } from "./clock.ts";
export type { Duration } from "./duration.ts";
export type { Failing, Fake, FakeCall } from "./fakes.ts";
export { type TestKit, type TestKitOptions, testKit } from "./kit.ts";
export type { EndedRun, HandlerInput, HandlerName, HandlerOutput, TestRun } from "./types.ts";
