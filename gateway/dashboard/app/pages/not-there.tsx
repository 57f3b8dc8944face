import { hrefOf } from "../router.ts";
import { Empty, Head } from "../ui/parts.tsx";

export function NotThere() {
  return (
    <>
      <Head title="There is no such page" />
      <Empty title="The address may be mistyped.">
        <a href={hrefOf("runs")}>Go to the runs</a>
      </Empty>
    </>
  );
}
