import { element, onSubmit, showProblem } from "./element.js";

const query = new URLSearchParams(location.search);
const next = query.get("next") ?? "/";

if (query.has("failed")) element("problem").textContent = "The sign-in did not succeed. Try again.";
// The server offers one of the two ways.
if (element("provider") !== null) element("provider").href += `?${new URLSearchParams({ next })}`;
else {
  element("name").focus();
  onSubmit(element("sign-in"), signIn);
}

async function signIn() {
  const input = element("name");
  showProblem(input, "");
  try {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ name: input.value, next });
    const answer = await (await fetch("/sign-in", { method: "POST", headers, body })).json();
    if (answer.error === undefined) location.assign(answer.next);
    else showProblem(input, answer.error);
  } catch {
    showProblem(input, "The server cannot be reached. Try again.");
  }
}
