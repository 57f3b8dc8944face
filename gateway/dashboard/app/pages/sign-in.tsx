import { useState } from "preact/hooks";
import { refusal, signIn } from "../session.ts";
import { Field, Head } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";

/** For a gateway that asks for keys. */
export function SignIn() {
  const [secret, setSecret] = useState("");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (secret.trim() !== "") void signIn(secret.trim());
  };
  return (
    <div class="narrow">
      <Head title="Sign in" lead="This gateway asks for an API key. What the key may do is what you may do here." />
      <form class="card" onSubmit={submit}>
        <Problem error={refusal.value} what="You are not signed in" />
        <Field label="API key" hint="Kept in this tab until you close it or sign out, and sent to this gateway alone.">
          {(props) => (
            <input
              {...props}
              type="password"
              autocomplete="off"
              spellcheck={false}
              placeholder="mr_…"
              value={secret}
              onInput={(event) => setSecret(event.currentTarget.value)}
              required
            />
          )}
        </Field>
        <div class="buttons">
          <button type="submit" class="primary">
            Sign in
          </button>
        </div>
      </form>
      <p class="dim">
        There is none yet? Whoever runs Millrace makes one: <code>millrace keys create --name me --scopes admin</code>
      </p>
    </div>
  );
}
