import { effect, signal } from "@preact/signals";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const STORED = "millrace.theme";

/** What the person at this browser wants; `auto` is what the system says. */
export const theme = signal<Theme>(stored());

function stored(): Theme {
  const known = localStorage.getItem(STORED);
  return THEMES.find((each) => each === known) ?? "auto";
}

/** Keeps the page in its theme from now on. */
export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem(STORED, theme.value);
  });
}

/** A colour of the styles, such as `--accent`, as it is now: for what draws by itself. */
export function colour(name: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
