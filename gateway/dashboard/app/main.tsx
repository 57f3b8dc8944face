import { render } from "preact";
import { enter } from "./session.ts";
import { Shell } from "./shell.tsx";
import { applyTheme } from "./theme.ts";

applyTheme();
const root = document.getElementById("app")!;
root.replaceChildren();
render(<Shell />, root);
void enter();
