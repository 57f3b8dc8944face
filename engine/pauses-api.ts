import type { Pausable, PausedView } from "./views.ts";

/** What operators do with work that must wait for a while. */
export interface PausesApi {
  /**
   * Of a workflow or a step, no attempt starts any more: what is queued stays so, what is at work goes on. A tenant's
   * steps are parked as they come up. Nothing is charged an attempt. Pausing twice is fine.
   *
   * @throws NotFoundError for an unknown workflow or step, InvalidInputError for a bad tenant, UnavailableError
   */
  pause(what: Pausable): Promise<void>;
  /** Ends that pause, and no other: a step stays paused with its workflow. @throws as `pause` */
  resume(what: Pausable): Promise<void>;
  /** @throws UnavailableError */
  paused(): Promise<PausedView[]>;
}
