export function Configuration() {
  return <p>Soon.</p>;
}
