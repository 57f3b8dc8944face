import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Scope } from "../../../engine/index.ts";
import { Configuration } from "./pages/configuration.tsx";
import { DeadLetters } from "./pages/dead-letters.tsx";
import { NotThere } from "./pages/not-there.tsx";
import { Queues } from "./pages/queues.tsx";
import { Run } from "./pages/run.tsx";
import { Runs } from "./pages/runs.tsx";
import { Schedules } from "./pages/schedules.tsx";
import { SignIn } from "./pages/sign-in.tsx";
import { Start } from "./pages/start.tsx";
import { UsagePage } from "./pages/usage.tsx";
import { hrefOf, route } from "./router.ts";
import { access, caller, enter, key, leave, may, refusal } from "./session.ts";
import { THEMES, theme } from "./theme.ts";
import { Loading } from "./ui/parts.tsx";
import { Problem } from "./ui/problem.tsx";

interface Page {
  path: string;
  /** Who may not is not offered it. */
  needs: Scope;
  title: string;
  page: ComponentType;
}

const PAGES: readonly Page[] = [
  { path: "runs", needs: "runs:read", title: "Runs", page: Runs },
  { path: "start", needs: "runs:write", title: "Start", page: Start },
  { path: "queues", needs: "queues:read", title: "Queues", page: Queues },
  { path: "dead-letters", needs: "dead-letters:read", title: "Dead letters", page: DeadLetters },
  { path: "schedules", needs: "schedules:read", title: "Schedules", page: Schedules },
  { path: "configuration", needs: "config:read", title: "Configuration", page: Configuration },
  { path: "usage", needs: "usage:read", title: "Usage", page: UsagePage },
];

/** What surrounds every page. */
export function Shell() {
  const { page: path, id } = route.value;
  const known = PAGES.find((each) => each.path === path);
  const title = id === undefined ? known?.title : `${known?.title} · ${id}`;

  const isFirst = useRef(true);
  useEffect(() => {
    document.title = title === undefined ? "Millrace" : `${title} · Millrace`;
    scrollTo(0, 0);
    // Who cannot see that the page is another one hears it.
    if (!isFirst.current) document.getElementById("main")!.focus({ preventScroll: true });
    isFirst.current = false;
  }, [title]);

  const isIn = access.value === "in";
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")!.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <a class="brand" href={hrefOf("runs")}>
          <Logo /> Millrace
        </a>
        <a href="/docs">API</a>
        <ThemeSwitch />
        {key.value === undefined || !isIn ? null : <span class="dim tenant">{caller.value?.tenant}</span>}
        {key.value === undefined ? null : (
          <button type="button" class="small" onClick={() => leave()}>
            Sign out
          </button>
        )}
      </header>
      {isIn ? (
        <nav aria-label="Pages">
          <ul>
            {PAGES.filter(({ needs }) => may(needs)).map((each) => (
              <li key={each.path}>
                <a href={hrefOf(each.path)} {...(each === known ? { "aria-current": "page" as const } : {})}>
                  {each.title}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      ) : null}
      <main id="main" tabIndex={-1}>
        <Content page={known?.page} />
      </main>
    </>
  );
}

function Content({ page: Page }: { page: ComponentType | undefined }) {
  const { page, id } = route.value;
  if (access.value === "asking") return <Loading />;
  if (access.value === "out") return <SignIn />;
  if (access.value === "away") return <Problem error={refusal.value} again={() => void enter()} />;
  // What a page was about is nothing to the next one.
  if (page === "runs" && id !== undefined) return <Run key={id} id={id} />;
  return Page === undefined ? <NotThere /> : <Page key={page} />;
}

function ThemeSwitch() {
  const next = () => {
    theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
  };
  return (
    <button type="button" class="small theme" onClick={next}>
      Theme: {theme.value}
    </button>
  );
}

function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
      <rect width="32" height="32" rx="8" class="logo-back" />
      <path d="M5 11c4-4 7 4 11 0s7 4 11 0M5 17c4-4 7 4 11 0s7 4 11 0M5 23c4-4 7 4 11 0s7 4 11 0" class="logo-waves" />
    </svg>
  );
}
