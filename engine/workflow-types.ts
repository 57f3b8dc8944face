import type { Settled, Stored } from "./step.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** A workflow of which only what goes in and comes out matters. */
export interface Callable extends AnyWorkflow {
  readonly types: { given: unknown; input: unknown; output: unknown };
}

export type Simplify<T> = { [K in keyof T]: T[K] };
export type IsUnion<T, U = T> = [T] extends [never]
  ? false
  : T extends unknown
    ? [U] extends [T]
      ? false
      : true
    : false;
/** The outputs of several steps by their names; those that may be skipped may be missing. */
export type Joined<Steps, Names extends string, Maybe> = Simplify<
  { [K in Exclude<Names, Maybe> & keyof Steps]: Steps[K] } & { [K in Names & Maybe & keyof Steps]?: Steps[K] }
>;
/** Where a step comes by default: after the one that was declared last. */
export type AfterLast<Steps, Last> = [Last] extends [never] ? readonly [] : readonly [Last & keyof Steps & string];
/** What a step that comes after these is given. */
export type InputAfter<In, Steps, Maybe, A extends readonly string[]> = number extends A["length"]
  ? // How many these are is not known.
    In | Steps[A[number] & keyof Steps] | Partial<Joined<Steps, A[number], Maybe>>
  : A extends readonly []
    ? In
    : A extends readonly [infer Only extends keyof Steps]
      ? Steps[Only]
      : Joined<Steps, A[number], Maybe>;
/** Whether a step may be skipped: because of its own `when`, or because all that it comes after may be. */
export type MayBeSkipped<N, A extends readonly string[], C, Maybe> = [C] extends [undefined]
  ? A extends readonly []
    ? never
    : [A[number]] extends [Maybe]
      ? N
      : never
  : N;
export type Output<In, Steps, Ends extends string, Maybe> = [Ends] extends [never]
  ? In
  : IsUnion<Ends> extends true
    ? Joined<Steps, Ends, Maybe>
    : Steps[Ends & keyof Steps] | ([Ends] extends [Maybe] ? undefined : never);

type ItemOutput<O, W extends Callable> = Stored<unknown extends O ? W["types"]["output"] : Awaited<O>>;
/** What a map comes to: a result per element, or what each was settled with. */
export type MapOutput<F, O, W extends Callable> = (F extends "collect"
  ? Settled<ItemOutput<O, W>>
  : ItemOutput<O, W>)[];
export type ChildOutput<F, W extends Callable> = F extends "collect"
  ? Settled<Stored<W["types"]["output"]>>
  : Stored<W["types"]["output"]>;

/** A handler of a step's, by the step's name. */
export type HandlerOf<N extends string, I, O> = Record<N, { input: I; output: Awaited<O> }>;
/** A handler of a map's items; nothing where these are runs of a workflow. */
export type ItemHandlerOf<N extends string, I, O, W extends Callable> = Callable extends W
  ? HandlerOf<N, I, O>
  : Record<never, never>;

/** What one run gets of the results of a batch. An object with the name and the message of something is no Error. */
export type BatchOutput<R> = WithoutErrors<Awaited<R>>;
type WithoutErrors<R> = R extends Error ? ("stack" extends keyof R ? never : R) : R;
