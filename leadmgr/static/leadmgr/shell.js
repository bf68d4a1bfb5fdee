/* What the pages gain with JavaScript: keys, menus that close, words kept over an expired session. */

const root = document.documentElement;
const help = document.getElementById("help");
const search = document.getElementById("search");

root.classList.add("with-script");
for (const button of document.querySelectorAll("[data-help]")) {
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());
}

const typing = (element) => element.matches("input, select, textarea, [contenteditable]");
const rows = () => [...document.querySelectorAll("[data-rows] .row-link")];

/** Move the focus in the list by one row; from outside the list, to its first. */
function step(by) {
  const links = rows();
  const place = links.indexOf(document.activeElement);
  const link = links[place < 0 ? 0 : Math.min(Math.max(place + by, 0), links.length - 1)];
  link?.focus({ preventScroll: true });
  link?.closest("tr").scrollIntoView({ block: "nearest" });
}

const keys = {
  "/": () => { search?.focus(); search?.select(); },
  "?": () => help.showModal(),
  j: () => step(1),
  k: () => step(-1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") return close(event);
  if (help.open || typing(event.target)) return;
  const marked = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  const act = keys[event.key] ?? (marked && (() => marked.click()));
  if (!act) return;
  event.preventDefault();
  act();
});

/** Esc closes the innermost open thing: a menu, the search, a form with a way back. */
function close(event) {
  if (help.open) return;
  const menu = document.querySelector(".menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  } else if (typing(event.target)) {
    event.target.blur();
  } else {
    document.querySelector("[data-escape]")?.click();
  }
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

function note(template) {
  const notes = document.querySelector(".notes");
  notes.replaceChildren(template.content.cloneNode(true));
  fade();
}

function fade() {
  const notes = document.querySelector(".notes");
  if (notes.childElementCount) setTimeout(() => notes.replaceChildren(), 6000);
}
fade();

for (const name of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(name, () => note(document.getElementById("load-failed")));
}

/* What is typed in a form is kept in this tab until it was saved: an expired session loses nothing. */
for (const form of document.querySelectorAll("form[data-keep]")) {
  const key = `draft:${location.pathname}`;
  const fields = () => [...form.elements].filter((field) => field.name && field.type !== "hidden" && field.type !== "submit");
  const draft = JSON.parse(sessionStorage.getItem(key) ?? "null");
  if (draft?.sent) {
    for (const field of fields()) if (field.name in draft.values) field.value = draft.values[field.name];
  }
  const keep = (sent) => {
    const values = Object.fromEntries(fields().map((field) => [field.name, field.value]));
    sessionStorage.setItem(key, JSON.stringify({ sent, values }));
  };
  form.addEventListener("submit", () => keep(true));
}
/* Only the page that follows a save clears the draft; a log-in in between does not. */
if (document.querySelector(".notes .note")) {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith("draft:")) sessionStorage.removeItem(key);
}
