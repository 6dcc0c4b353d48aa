// A list of any length of which only the rows in sight are on the page. To a screen reader it is one listbox.

import { el } from "./dom.js";

const ROW_PX = 64; // as in style.css
const BEYOND = 8; // rows above and below those in sight
const NEAR_END = 40; // rows before the end at which more are asked for

/** `rowOf(item)` gives what is in a row; `selected(item)` and `nearEnd()` are told. */
export function windowedList(label, rowOf, selected, nearEnd) {
  let items = [];
  let active = -1;
  let isComplete = false;
  let isDue = false;
  const drawn = new Map(); // index → row on the page
  const inner = el("div", { role: "presentation" });
  const element = el(
    "div",
    {
      class: "rows",
      role: "listbox",
      tabindex: "0",
      "aria-label": label,
      onscroll: soon,
      onclick: clicked,
      onkeydown: pressed,
    },
    inner,
  );
  new ResizeObserver(soon).observe(element);

  function soon() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  }

  function draw() {
    const first = Math.max(0, Math.floor(element.scrollTop / ROW_PX) - BEYOND);
    const last = Math.min(items.length, Math.ceil((element.scrollTop + element.clientHeight) / ROW_PX) + BEYOND);
    // the active row stays, because the listbox names it as the one that has the focus
    const isWanted = (index) => (index >= first && index < last) || index === active;
    for (const [index, row] of drawn) {
      if (!isWanted(index)) {
        row.remove();
        drawn.delete(index);
      }
    }
    for (let index = first; index < last; index += 1) place(index);
    if (active >= 0) place(active);
    if (last > items.length - NEAR_END && !isComplete && element.isConnected) nearEnd();
  }

  function place(index) {
    if (drawn.has(index)) return;
    const row = el(
      "div",
      { class: "row", role: "option", id: `row-${index}`, "aria-posinset": index + 1 },
      rowOf(items[index]),
    );
    row.dataset.index = index;
    row.style.transform = `translateY(${index * ROW_PX}px)`;
    describe(row, index);
    drawn.set(index, row);
    // in their order, for who goes through the page and not through the list
    const after = [...drawn.keys()].filter((other) => other > index);
    inner.insertBefore(row, after.length ? drawn.get(Math.min(...after)) : null);
  }

  function describe(row, index) {
    row.setAttribute("aria-selected", String(index === active));
    row.setAttribute("aria-setsize", isComplete ? items.length : -1);
  }

  function again() {
    drawn.clear();
    inner.replaceChildren();
    inner.style.height = `${items.length * ROW_PX}px`;
    draw();
    if (active >= 0) element.setAttribute("aria-activedescendant", `row-${active}`);
    else element.removeAttribute("aria-activedescendant");
  }

  function grown() {
    inner.style.height = `${items.length * ROW_PX}px`;
    for (const [index, row] of drawn) describe(row, index);
    soon();
  }

  function activate(index) {
    if (!items.length) return;
    active = Math.min(Math.max(index, 0), items.length - 1);
    const top = active * ROW_PX;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_PX > element.scrollTop + element.clientHeight)
      element.scrollTop = top + ROW_PX - element.clientHeight;
    draw();
    for (const [other, row] of drawn) describe(row, other);
    element.setAttribute("aria-activedescendant", `row-${active}`);
    selected(items[active]);
  }

  function clicked(event) {
    const row = event.target.closest("[role=option]");
    if (row) activate(Number(row.dataset.index));
  }

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(element.clientHeight / ROW_PX) - 1);
    const to = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    activate(to);
  }

  return {
    element,
    activate,
    get active() {
      return active;
    },
    get item() {
      return items[active];
    },
    get length() {
      return items.length;
    },
    move: (by) => activate(active + by),
    clear() {
      items = [];
      active = -1;
      isComplete = false;
      element.scrollTop = 0;
      again();
    },
    append(more, complete) {
      items = items.concat(more);
      isComplete = complete;
      grown();
    },
    indexOf: (id) => items.findIndex((item) => item.id === id),
    /** Another item in the place of one; without one the row goes, and the next takes its place. */
    replace(index, item) {
      items.splice(index, 1, ...(item ? [item] : []));
      if (index < active || active >= items.length) active -= item ? 0 : 1;
      again();
    },
    draw: soon,
  };
}
