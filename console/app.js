// Which page is shown: #apply #queue #decision/<id> #overview #model. A page that is left keeps what was typed into it.
//
// A page's files come when it is first gone to, or before that, when the browser has nothing else to do.

import { Problem } from "./api.js";
import { section, trouble } from "./parts.js";
import { fields } from "./schema.js";

const PAGES = {
  apply: ["Apply", () => import("./apply.js").then((module) => module.applyPage)],
  queue: ["Queue", () => import("./queue.js").then((module) => module.queuePage)],
  decision: ["Decision", () => import("./decision.js").then((module) => module.decisionPage)],
  overview: ["Overview", () => import("./overview.js").then((module) => module.overviewPage)],
  model: ["Model", () => import("./model.js").then((module) => module.modelPage)],
};
const FIRST = "apply";
const main = document.getElementById("main");
const made = new Map(); // pages that have been shown, by name
let current = null;
let turn = 0;

async function show(isFirst) {
  const mine = (turn += 1);
  const [name, ...rest] = location.hash.slice(1).split("/");
  const known = Object.hasOwn(PAGES, name) ? name : FIRST;
  const [title] = PAGES[known];
  document.title = `${title} – Riskline`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // until its files are there a page is its heading; those of the first one come with this one
  if (!made.has(known) && !isFirst) put({ element: section(title), enter: () => undefined }, isFirst);
  try {
    const page = made.has(known) ? null : await PAGES[known][1]();
    if (!made.has(known)) made.set(known, page());
  } catch (error) {
    if (mine === turn) put({ element: failed(title, error), enter: () => undefined }, isFirst);
    return;
  }
  if (mine !== turn) return; // somebody has gone elsewhere meanwhile
  put(made.get(known), isFirst);
  await current.enter(decoded(rest.join("/")));
}

/** The page in the place of the one before, with the focus on its heading, if that is what it is about. */
function put(page, isFirst) {
  const hadFocus = current?.element.querySelector("h1") === document.activeElement;
  if (page !== current) {
    current?.leave?.();
    main.replaceChildren(page.element);
    current = page;
  }
  if (isFirst && !hadFocus) return;
  scrollTo(0, 0);
  page.element.querySelector("h1").focus({ preventScroll: true });
}

function failed(title, error) {
  // a file that does not come is a TypeError; anything else is a mistake in one that has come
  if (!(error instanceof TypeError)) console.error(error);
  const problem = error instanceof TypeError ? new Problem(0, "unreachable", "The page could not be loaded.") : error;
  return section(
    title,
    trouble(problem, () => show(false)),
  );
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Has the files of the other pages come one page after the other, so that going there waits for nothing. */
function loadAhead([[, load], ...others]) {
  const soon = window.requestIdleCallback ?? ((then) => setTimeout(then, 1000));
  soon(() => {
    load().then(
      () => others.length && loadAhead(others),
      () => undefined, // it is tried again when somebody goes there
    );
  });
}

// the hash belongs to the routes, so the link must not change it
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => show(false));
// the page has asked for the document already; whoever needs it then hears of it, and of what goes wrong
fields().catch(() => undefined);
show(true).then(() => loadAhead(Object.values(PAGES)));
