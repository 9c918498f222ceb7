// The two calls this page makes, and in what words they fail.
//
// The API is on the page's own origin, behind the balancer. `/?api=http://127.0.0.1:5252` asks that one directly; the
// page's content security policy lets it do so only if the front-end was started with that `--api-origin`.

const BASE = new URLSearchParams(location.search).get("api")?.replace(/\/$/, "") ?? "";
// An answer that takes longer than this is of no use to somebody who is watching.
const PATIENCE_MS = 5000;

/** A request that got no answer worth the name; the message is for people. */
export class Failure extends Error {}

/** The greeting, as text. */
export async function hello() {
  return (await get("/api/hello")).text();
}

/** The name of the instance that answered. */
export async function whoami() {
  const response = await get("/api/whoami");
  const answer = await response.json().catch(() => null);
  if (typeof answer?.instance !== "string") throw new Failure("An answer that is not the API's");
  return answer.instance;
}

async function get(path) {
  const response = await fetch(BASE + path, {
    cache: "no-store",
    credentials: "omit",
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch((error) => {
    throw new Failure(error.name === "TimeoutError" ? `No answer within ${PATIENCE_MS / 1000} s` : "No connection");
  });
  if (!response.ok) throw new Failure(`Status ${response.status} ${response.statusText}`.trim());
  return response;
}
