/* What the inbox gains with JavaScript: a lead opens beside its queue, and both follow what happens meanwhile. */

const PANES = matchMedia("(min-width: 900px)");
const inbox = () => document.getElementById("inbox");
const queue = () => document.getElementById("queue");
const lead = () => document.getElementById("lead");
const shown = () => lead()?.querySelector(".lead-main")?.dataset.id ?? "";

/* One lead after the other */

function mark(id) {
  for (const row of queue().querySelectorAll("tr[data-lead]")) {
    row.toggleAttribute("aria-current", row.dataset.lead === id);
    if (row.dataset.lead === id) row.setAttribute("aria-current", "true");
  }
}

let asked = "";
/** Show the lead of a row beside the queue; `keep` writes it into the history of the browser. */
async function open(link, keep) {
  const id = link.closest("tr").dataset.lead;
  asked = id;
  mark(id);
  history[keep ? "pushState" : "replaceState"]({ inbox: true }, "", link.href);
  await htmx.ajax("GET", link.href, { source: lead(), target: lead(), swap: "innerHTML", select: "unset", selectOOB: "unset" });
  if (asked === id) listen();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#queue .row-link");
  if (!link || !PANES.matches || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  event.stopPropagation();
  open(link, true).then(() => event.detail === 0 && lead().focus({ preventScroll: true }));
}, true);

let soon;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key)) return;
  if (event.target.matches("input, select, textarea") || !PANES.matches) return;
  // The shell has moved the focus by now: the lead follows once the keys rest.
  queueMicrotask(() => {
    const link = document.activeElement?.closest?.("#queue .row-link");
    if (!link) return;
    clearTimeout(soon);
    mark(link.closest("tr").dataset.lead);
    soon = setTimeout(() => shown() !== link.closest("tr").dataset.lead && open(link, false), 120);
  });
});

/* Esc goes back from the lead to its row. */
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.target.matches("input, select, textarea")) return;
  if (document.querySelector("dialog[open], details[data-closes][open]")) return;
  if (lead()?.contains(document.activeElement)) queue().querySelector("tr[aria-current] .row-link")?.focus();
}, true);

addEventListener("popstate", () => location.reload());

/* A form that opens takes the focus, but from nobody who types in it already: browsers tell of the opening late.
   The others close, also where browsers do not know `name` on details. */
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!menu.matches?.("[data-closes]") || !menu.open) return;
  for (const other of document.querySelectorAll("[data-closes][open]")) if (other !== menu) other.open = false;
  if (!menu.querySelector("form :focus")) menu.querySelector("input:not([type=hidden]), select, textarea")?.focus();
}, true);

/* Pressed once is enough. */
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button?.closest("#inbox, #notes")) setTimeout(() => { button.disabled = true; });
});

/* What was scrolled, and where the keys were, stays when the whole inbox is written anew. */
let before;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.id === "inbox") before = queue()?.scrollTop;
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target?.id !== "inbox" && event.target.id !== "inbox") return;
  if (before !== undefined) queue().scrollTop = before;
  before = undefined;
  queue().querySelector("tr[aria-current]")?.scrollIntoView({ block: "nearest" });
  if (document.activeElement === document.body && !lead().querySelector("details[open][data-closes]")) {
    const row = queue().querySelector("tr[aria-current] .row-link") ?? queue().querySelector(".row-link");
    if (PANES.matches) row?.focus({ preventScroll: true });
  }
  for (const open of lead().querySelectorAll("details[open][data-closes]")) open.querySelector("[role=alert]")?.closest(".field")?.querySelector("input, select, textarea")?.focus();
  listen();
});

/* Live: the server says that something changed, the page looks again, once a second at most. */

const REST_MS = 1000;
const MINUTE_MS = 60_000;
let source, listening = "", wanted = new Set(), timer, last = 0;

function listen() {
  const address = `${inbox().dataset.live}?lead=${shown()}`;
  if (!window.EventSource || (source && listening === address && source.readyState !== EventSource.CLOSED)) return;
  source?.close();
  listening = address;
  source = new EventSource(address);
  source.addEventListener("open", () => look("queue")); // what happened since the page was written was not heard
  source.addEventListener("queue", () => look("queue"));
  source.addEventListener("lead", () => { look("queue"); look("lead"); });
  // After a pause of the connection anything may have happened.
  source.addEventListener("again", () => { look("queue"); look("lead"); });
}

function look(what) {
  wanted.add(what);
  timer ??= setTimeout(refresh, Math.max(0, last + REST_MS - performance.now()));
}

async function refresh() {
  if (document.hidden) return void (timer = undefined); // looked at when somebody comes back
  last = performance.now();
  const parts = wanted;
  wanted = new Set();
  timer = undefined;
  try {
    if (parts.has("queue")) await refreshQueue();
    if (parts.has("lead") && shown()) await refreshLead();
  } catch { /* the next change, or the next minute, tries again */ }
}

async function part(address, target) {
  const response = await fetch(address, { headers: { "HX-Request": "true", "HX-Target": target, "HX-Current-URL": location.href } });
  if (!response.ok || response.headers.has("HX-Redirect") || response.redirected) throw new Error(response.status);
  const page = document.createElement("template");
  page.innerHTML = await response.text();
  return page.content;
}

/* Who clicked waits for an answer, which finds its place only while what was clicked stands in the page. */
const asking = new Set();
document.addEventListener("htmx:beforeSend", (event) => asking.add(event.detail.elt));
document.addEventListener("htmx:afterRequest", (event) => asking.delete(event.detail.elt));
const isAsking = (part) => [...asking].some((element) => part.contains(element));

async function refreshQueue() {
  const address = new URL(location.href);
  const chosen = shown();
  if (chosen) address.searchParams.set("lead", chosen);
  const fresh = await part(address, "queue");
  const pane = queue();
  const at = document.activeElement;
  if (isAsking(pane) || pane.querySelector(".filter-menu[open]")) return look("queue"); // not under somebody's hands
  const focused = pane.contains(at) ? at.closest("tr")?.dataset.lead : undefined;
  const scrolled = pane.scrollTop;
  const told = fresh.getElementById?.("team-line-now") ?? fresh.querySelector("#team-line-now");
  const badge = fresh.querySelector("#waiting-now");
  if (told) document.getElementById("team-line").replaceChildren(...told.content.cloneNode(true).childNodes);
  if (badge) document.getElementById("waiting-leads")?.replaceChildren(badge.content.textContent.trim());
  told?.remove();
  badge?.remove();
  pane.replaceChildren(fresh);
  htmx.process(pane);
  pane.scrollTop = scrolled;
  mark(chosen);
  if (focused) pane.querySelector(`tr[data-lead="${focused}"] .row-link`)?.focus({ preventScroll: true });
}

async function refreshLead() {
  const address = new URL(location.href);
  address.searchParams.set("lead", shown());
  const fresh = await part(address, "lead");
  const typing = (element) => element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  for (const id of ["lead-who", "score-value", "lead-timeline", "lead-facts"]) {
    const old = document.getElementById(id);
    const anew = fresh.querySelector(`#${id}`);
    if (!old || !anew || typing(old) || isAsking(old) || old.textContent === anew.textContent) continue;
    old.replaceWith(anew);
    htmx.process(anew);
  }
  htmx.trigger("#score-panel", "refresh");
}

document.addEventListener("visibilitychange", () => !document.hidden && wanted.size && look("queue"));
setInterval(() => look("queue"), MINUTE_MS); // clocks go on; and where no stream is, this is the way
listen();
