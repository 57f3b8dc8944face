import type { ErrorRecord } from "../../../client/types.ts";
import { Scroll } from "../ui/scroll.tsx";

/** What something failed with. */
export function FailedWith({ error }: { error: ErrorRecord }) {
  const { name, message, code, stack, cause } = error;
  return (
    <div class="problem">
      <p>
        <strong>{name}</strong>
        {code === undefined ? null : <code> {code}</code>}: {message}
      </p>
      {stack === undefined ? null : (
        <details>
          <summary>Stack</summary>
          <Scroll class="code" label="Stack">
            <pre>{stack}</pre>
          </Scroll>
        </details>
      )}
      {cause === undefined ? null : (
        <details>
          <summary>Caused by</summary>
          <FailedWith error={cause} />
        </details>
      )}
    </div>
  );
}
