// Asking the service. One key for the tab; who is asked for a new one loses nothing: the request waits, and goes out
// again.

const KEY = "riskline-key";
const ANSWERED_WITHIN_MS = 75_000; // the service itself gives up after RISKLINE_TIMEOUT_S, 60 by default
const BASE = new URL("..", location.href); // the page is at …/console/, whatever a proxy has put before it

const dialog = document.getElementById("key-dialog");
const input = document.getElementById("key-text");
const wrong = document.getElementById("key-wrong");
const forget = document.getElementById("forget-key");

let key = stored();
let asking = null;

/** Why there is no answer: `status` is 0 where the service was not reached; `detail` lists fields and rules. */
export class Problem extends Error {
  constructor(status, code, message, detail = [], retryAfter = null) {
    super(message);
    Object.assign(this, { status, code, detail, retryAfter });
  }
}

/** The service's answer to a request as data; a Problem for every other end. */
export async function ask(path, options = {}) {
  const answer = await fetched(path, options);
  let data;
  try {
    data = await answer.json();
  } catch {
    throw new Problem(answer.status, "unreadable", "The service's answer could not be read.");
  }
  if (answer.ok) return data;
  const { error = "", message = answer.statusText, detail = [] } = data ?? {};
  throw new Problem(answer.status, error, message, detail, Number(answer.headers.get("retry-after")) || null);
}

/** An answer that is no JSON; a Problem where it is no success. */
export async function askText(path, accept) {
  const answer = await fetched(path, { accept });
  if (answer.ok) return answer.text();
  const data = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, data.error ?? "", data.message ?? answer.statusText);
}

export const hasKey = () => key !== null;
export const urlOf = (path) => new URL(path, BASE).href;

async function fetched(path, { method = "GET", body, headers = {}, accept = "application/json", cache = "no-store" }) {
  for (;;) {
    const used = key;
    const all = { accept, ...headers };
    if (used !== null) all.authorization = `Bearer ${used}`;
    if (body !== undefined) all["content-type"] = "application/json";
    let answer;
    try {
      answer = await fetch(urlOf(path), {
        method,
        headers: all,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache,
        credentials: "same-origin",
        signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
      });
    } catch {
      throw new Problem(0, "unreachable", "The service cannot be reached.");
    }
    if (answer.status !== 401) return answer;
    // somebody may have given another key while this request was under way
    if (used === key) await newKey(used !== null);
  }
}

/** Asks for a key once, however many requests wait for it. */
export function newKey(refused) {
  asking ??= new Promise((resolve, reject) => {
    wrong.textContent = refused ? "The key is not known, or not any more. Nothing that you have typed is lost." : "";
    wrong.hidden = !refused;
    dialog.returnValue = "";
    dialog.showModal();
    input.focus();
    dialog.onclose = () => {
      asking = null;
      const given = input.value.trim();
      input.value = "";
      if (dialog.returnValue !== "given" || !given) {
        return reject(new Problem(401, "unauthorized", "This needs an API key."));
      }
      keep(given);
      return resolve();
    };
  });
  return asking;
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  dialog.close("given");
});
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close(""));
forget.addEventListener("click", () => {
  keep(null);
  location.reload();
});
forget.hidden = key === null;

function keep(given) {
  // a header holds ASCII: whatever else was pasted is no key, and the service says so
  key = given === null ? null : given.replace(/[^!-~]/g, "");
  forget.hidden = key === null;
  try {
    if (key === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, key);
  } catch {
    // the browser keeps nothing: then the key lasts as long as the page
  }
}

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
