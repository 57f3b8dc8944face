export function Queues() {
  return <p>Soon.</p>;
}
