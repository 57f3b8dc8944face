export function Start() {
  return <p>Soon.</p>;
}
