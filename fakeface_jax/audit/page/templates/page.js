"use strict";
// Sorting, choosing and opening. Without this script everything is there to read, in the order it was written.

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function compare(a, b, downwards) {
  if (a === b) return 0;
  if (a === "" || b === "") return a === "" ? 1 : -1;  // what is not known comes last either way
  const numbers = !Number.isNaN(Number(a)) && !Number.isNaN(Number(b));
  const order = numbers ? a - b : a.localeCompare(b, undefined, {numeric: true});
  return downwards ? -order : order;
}

function makeSortable(table) {
  const body = table.querySelector("tbody:not(.apart)");
  const headings = all("thead tr:last-child th", table);
  const keyOf = (row, column) => row.cells[column].dataset.order ?? row.cells[column].textContent.trim();
  for (const heading of headings) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const column = heading.cellIndex;
      const before = heading.getAttribute("aria-sort");
      const downwards = before ? before === "ascending" : heading.classList.contains("number");
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", downwards ? "descending" : "ascending");
      body.append(...[...body.rows].sort((a, b) => compare(keyOf(a, column), keyOf(b, column), downwards)));
    });
  }
}

all("table.sortable").forEach(makeSortable);

const filters = document.querySelector(".filters");
const dialog = document.querySelector("dialog");

function chooseCases() {
  const chosen = all("[data-filter]", filters).filter((select) => select.value);
  const words = filters.querySelector("[data-search]").value.trim().toLowerCase();
  const fits = (card, select) => select.dataset.filter === "regions"
    ? JSON.parse(card.dataset.regions).includes(select.value) : card.dataset[select.dataset.filter] === select.value;
  let count = 0;
  for (const group of all(".group")) {
    const cards = all(".case", group);
    for (const card of cards) {
      card.hidden = !(chosen.every((select) => fits(card, select)) && card.dataset.path.toLowerCase().includes(words));
    }
    const shown = cards.filter((card) => !card.hidden).length;
    group.querySelector(".shown").textContent = shown;
    group.hidden = !shown;
    count += shown;
  }
  filters.querySelector("output").textContent = count === 1 ? "1 case" : `${count} cases`;
}

function orderCases() {
  const [, minus, key] = filters.querySelector("[data-sort]").value.match(/^(-?)(.*)$/);
  for (const cards of all(".cards")) {
    cards.append(...[...cards.children].sort((a, b) => compare(a.dataset[key], b.dataset[key], minus === "-")));
  }
}

function startCases() {
  let current = null;
  const shown = () => all(".case").filter((card) => !card.hidden);

  function show(card) {
    if (!card) return;
    current = card;
    const cards = shown();
    dialog.querySelector("h3").textContent = card.dataset.path;
    dialog.querySelector(".place").textContent = `${cards.indexOf(card) + 1} of ${cards.length}`;
    dialog.querySelector(".body").replaceChildren(card.querySelector(".facts").cloneNode(true));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  function step(by) {
    const cards = shown();
    show(cards[cards.indexOf(current) + by]);
  }

  for (const card of all(".case")) {
    const summary = card.querySelector("summary");
    summary.setAttribute("aria-haspopup", "dialog");
    summary.addEventListener("click", (event) => {
      event.preventDefault();
      show(card);
    });
  }
  dialog.addEventListener("keydown", (event) => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!by) return;
    event.preventDefault();
    step(by);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.querySelector(".body").replaceChildren();
    current.querySelector("summary").focus();
  });
  dialog.querySelector(".previous").addEventListener("click", () => step(-1));
  dialog.querySelector(".next").addEventListener("click", () => step(1));
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());

  filters.hidden = false;
  for (const kind of ["input", "change"]) {  // browsers' drivers send no input event from a select
    filters.addEventListener(kind, () => {
      orderCases();
      chooseCases();
    });
  }
  chooseCases();
}

if (filters) startCases();

addEventListener("beforeprint", () => all("details.more").forEach((more) => {
  more.dataset.was = more.open;
  more.open = true;
}));
addEventListener("afterprint", () => all("details.more").forEach((more) => {
  more.open = more.dataset.was === "true";
}));
