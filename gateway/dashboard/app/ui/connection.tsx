import { Problem } from "./problem.tsx";

/** Whether what is shown is kept up to date. */
export function Connection({ isLive, error }: { isLive: boolean; error?: unknown }) {
  if (error !== undefined) return <Problem error={error} what="This is not live" />;
  return (
    <span class={`connection ${isLive ? "is-live" : ""}`} role="status">
      <span aria-hidden="true">{isLive ? "●" : "○"}</span> {isLive ? "Live" : "Connecting…"}
    </span>
  );
}
