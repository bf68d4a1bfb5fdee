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

/* Results that come late take the focus of who walks them by keys with them: it stays on its row, or in its place. */
let stood;
document.addEventListener("htmx:beforeSwap", (event) => {
  const place = event.detail.target.id === "results" ? rows().indexOf(document.activeElement) : -1;
  stood = place < 0 ? undefined : { place, address: document.activeElement.href };
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (!stood || event.detail.target.id !== "results") return;
  const links = rows();
  const link = links.find((one) => one.href === stood.address) ?? links[Math.min(stood.place, links.length - 1)];
  link?.focus({ preventScroll: true });
  stood = undefined;
});

const keys = {
  "/": () => { search?.focus(); search?.select(); },
  "?": () => help.showModal(),
  j: () => step(1),
  k: () => step(-1),
};

/** Press what a key is written on. Into a form that opens one types at once: its own event comes after the next key. */
function press(control) {
  control.click();
  const form = control.closest("details[data-closes][open]");
  form?.querySelector("input:not([type=hidden]), select, textarea")?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") return close(event);
  if (help.open || typing(event.target)) return;
  const marked = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  const act = keys[event.key] ?? (marked && (() => press(marked)));
  if (!act) return;
  event.preventDefault();
  act();
});

/** Esc closes the menu or leaves the field; dialogs close by themselves. */
function close(event) {
  if (help.open) return;
  const menu = document.querySelector(":is(.menu, [data-closes])[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  } else if (typing(event.target)) {
    event.target.blur();
  }
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(":is(.menu, [data-closes])[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

function note(template) {
  const notes = document.querySelector(".notes");
  notes.replaceChildren(template.content.cloneNode(true));
  fade();
}

/** A note goes after a while, later where it offers to undo something, and not while somebody is at it. */
let fading;
function fade() {
  const notes = document.querySelector(".notes");
  clearTimeout(fading);
  if (!notes.childElementCount) return;
  const seconds = notes.querySelector("form") ? 20 : 6;
  fading = setTimeout(() => (notes.matches(":hover, :focus-within") ? fade() : notes.replaceChildren()), seconds * 1000);
}
fade();
document.addEventListener("htmx:oobAfterSwap", (event) => event.detail.target.id === "notes" && fade());

for (const name of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(name, () => note(document.getElementById("load-failed")));
}

/* What is sent with a form is kept in this tab until it was saved: an expired session loses nothing. */
const drafts = () => Object.keys(sessionStorage).filter((key) => key.startsWith("draft:"));
for (const form of document.querySelectorAll("form[data-keep]")) {
  const key = `draft:${location.pathname}`;
  const fields = [...form.elements].filter((field) => field.name && field.type !== "hidden");
  const draft = JSON.parse(sessionStorage.getItem(key) ?? "{}");
  for (const field of fields) field.value = draft[field.name] ?? field.value;
  form.addEventListener("submit", () => {
    const values = Object.fromEntries(fields.map((field) => [field.name, field.value]));
    sessionStorage.setItem(key, JSON.stringify(values));
  });
}
/* The page that follows a save, and the log-out, forget it; a log-in in between does not. */
const forget = () => drafts().forEach((key) => sessionStorage.removeItem(key));
if (document.querySelector(".notes .note")) forget();
document.querySelector("form[data-leave]")?.addEventListener("submit", forget);
