// Behaviour of the console that HTML alone cannot give. No framework, no state beyond the page.
"use strict";

const byId = (id) => document.getElementById(id);
const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

// --- Dialogs ---------------------------------------------------------------------------------------------------
// The browser's own <dialog> traps focus and gives it back; what is left is filling and closing it.

function openSheet(address) {
  htmx.ajax("GET", address, { target: "#sheet", swap: "innerHTML" });
}

function openPalette() {
  const palette = byId("palette");
  if (!palette || palette.open) return;
  const input = palette.querySelector("input");
  input.value = ""; // there from the start, so that nothing typed is lost while results are on their way
  palette.showModal();
  input.focus();
  htmx.trigger(input, "palette-open");
}

function openShortcuts() {
  const shortcuts = byId("shortcuts");
  if (shortcuts && !shortcuts.open) shortcuts.showModal();
}

function focusFirst(root) {
  const first = root.querySelector("[autofocus], [aria-invalid=true], input:not([type=hidden]), select, textarea, .btn");
  if (first) first.focus();
}

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id === "sheet") {
    const dialog = byId("sheet-dialog");
    if (event.target.childElementCount === 0) return dialog.close();
    if (!dialog.open) dialog.showModal();
    focusFirst(event.target);
  }
  if (event.target.id === "palette-results") markFirst();
  if (event.target.id === "main") (byId("main").querySelector("[autofocus]") || byId("main")).focus();
});

document.addEventListener("sheet-close", () => byId("sheet-dialog").close());

// What the sheet and the palette showed is gone once they close: a secret typed there does not linger in the page.
document.addEventListener("close", (event) => {
  if (event.target.id === "sheet-dialog") byId("sheet").replaceChildren();
  if (event.target.id === "palette") byId("palette-results").replaceChildren();
}, true);

// --- Several rows at once ------------------------------------------------------------------------------------------
// The bar's buttons are there once a row is ticked; without this script they answer that something must be chosen first.

function countChosen() {
  for (const bar of document.querySelectorAll("[data-bulk]")) {
    // bar.id would be the boxes, since a form offers its fields by their names, and theirs is "id".
    const id = bar.getAttribute("id");
    const boxes = [...document.querySelectorAll(`[data-choose][form="${id}"]`)];
    const chosen = boxes.filter((box) => box.checked).length;
    const said = bar.querySelector("[data-bulk-count]");
    const matching = bar.querySelector("[data-choose-matching]");
    if (matching) {
      // Offered once the whole page is ticked; a tick taken away takes it back.
      const isWhole = chosen > 0 && chosen === boxes.length;
      if (!isWhole) chooseMatching(matching, false);
      matching.hidden = !isWhole;
    }
    const meansAll = matching?.getAttribute("aria-pressed") === "true";
    said.textContent = meansAll ? `All ${Number(matching.dataset.number).toLocaleString("en")} that match are chosen` : chosen ? `${chosen} of ${boxes.length} on this page chosen` : "Tick rows to change several at once";
    for (const button of bar.querySelectorAll("[data-bulk-button]")) button.hidden = chosen === 0;
    const all = document.querySelector(`[data-choose-all="${id}"]`);
    if (all) {
      all.checked = chosen > 0 && chosen === boxes.length;
      all.indeterminate = chosen > 0 && chosen < boxes.length;
    }
  }
}

function chooseMatching(button, isChosen) {
  button.setAttribute("aria-pressed", String(isChosen));
  button.form.querySelector("[data-matching]").disabled = !isChosen;
}

document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-choose-all]");
  if (all) {
    for (const box of document.querySelectorAll(`[data-choose][form="${all.dataset.chooseAll}"]`)) box.checked = all.checked;
  }
  if (all || event.target.closest("[data-choose]")) countChosen();
});
document.addEventListener("htmx:afterSettle", countChosen);
document.addEventListener("DOMContentLoaded", countChosen);

// --- Clicks ------------------------------------------------------------------------------------------------------

const clicks = {
  "[data-copy]": (button) => copy(button),
  "[data-sheet]": (link, event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    openSheet(link.href);
  },
  "#sheet a.btn-quiet": (link, event) => {
    event.preventDefault();
    if (mayLeave(byId("sheet"))) byId("sheet-dialog").close();
  },
  "[data-close]": (button) => {
    const dialog = button.closest("dialog");
    if (mayLeave(dialog)) dialog.close();
  },
  "[data-dismiss]": (button) => button.closest("[data-toast]").remove(),
  "[data-open-palette]": () => openPalette(),
  "[data-open-shortcuts]": (button) => {
    button.closest("details")?.removeAttribute("open");
    openShortcuts();
  },
  "[data-rail-open]": () => setRail(true),
  "[data-rail-close]": () => setRail(false),
  "[data-rail-slim]": () => toggleSlim(),
  "[data-tab]": (tab) => chooseTab(tab),
  "[data-choose-matching]": (button) => {
    chooseMatching(button, button.getAttribute("aria-pressed") !== "true");
    countChosen();
  },
  "[data-add-row]": (button) => addRow(button),
  "[data-remove-row]": (button) => removeRow(button),
  "[data-follows-filters]": (link) => {
    const address = new URL(location.href);
    for (const name of ["after", "before"]) address.searchParams.delete(name);
    address.searchParams.set("format", "csv");
    link.href = address.href;
  },
};

document.addEventListener("click", (event) => {
  for (const [selector, act] of Object.entries(clicks)) {
    const found = event.target.closest(selector);
    if (found) return act(found, event);
  }
  if (event.target.tagName === "DIALOG" && mayLeave(event.target)) event.target.close(); // a click beside the sheet
  const row = event.target.closest("tr[data-href]");
  if (row && !event.target.closest("a, button, input, label, summary, time[title]") && !getSelection().toString()) {
    if (event.metaKey || event.ctrlKey) open(row.dataset.href, "_blank", "noopener");
    else location.assign(row.dataset.href);
  }
  for (const menu of document.querySelectorAll("details.drop[open]")) {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  }
});

async function copy(button) {
  const source = button.dataset.copyFrom ? byId(button.dataset.copyFrom).textContent : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(source);
  } catch {
    copyWithoutClipboard(source); // plain http outside localhost has no clipboard API
  }
  button.classList.add("is-done");
  announce("Copied");
  setTimeout(() => button.classList.remove("is-done"), 1600);
}

function copyWithoutClipboard(text) {
  const area = document.createElement("textarea");
  area.value = text;
  (document.querySelector("dialog[open]") || document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

function announce(text) {
  const spoken = document.createElement("span");
  spoken.className = "sr-only";
  spoken.textContent = text;
  byId("toasts")?.append(spoken);
  setTimeout(() => spoken.remove(), 2000);
}

// --- Left bar --------------------------------------------------------------------------------------------------------

function setRail(isOpen) {
  byId("shell").classList.toggle("rail-open", isOpen);
  document.querySelector("[data-rail-open]").setAttribute("aria-expanded", String(isOpen));
  if (isOpen) byId("rail").querySelector(".place").focus();
}

function toggleSlim() {
  const isSlim = byId("shell").classList.toggle("rail-slim");
  // A cookie and not local storage: the server draws the next page in the right width at once.
  document.cookie = `switchyard-rail=${isSlim ? "slim" : "wide"}; path=/; max-age=31536000; samesite=lax`;
}

// --- Tabs ---------------------------------------------------------------------------------------------------------------

function chooseTab(tab) {
  const list = tab.closest("[role=tablist]");
  for (const one of list.querySelectorAll("[role=tab]")) {
    const isChosen = one === tab;
    one.setAttribute("aria-selected", String(isChosen));
    one.tabIndex = isChosen ? 0 : -1;
    byId(one.getAttribute("aria-controls")).hidden = !isChosen;
  }
  if (list.dataset.parameter) {
    const address = new URL(location.href);
    address.searchParams.set(list.dataset.parameter, tab.dataset.tab);
    history.replaceState(history.state, "", address);
  }
}

function moveTab(tab, step) {
  const tabs = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]")];
  const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
  next.focus();
  chooseTab(next);
}

// --- Keyboard ----------------------------------------------------------------------------------------------------------------

let waitsForPlace = 0;

document.addEventListener("keydown", (event) => {
  if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return openPalette();
  }
  if (event.target.closest("#palette")) return paletteKey(event);
  if (event.target.getAttribute("role") === "tab") {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (step) {
      event.preventDefault();
      return moveTab(event.target, step);
    }
  }
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.key === "Escape") return escape(event);
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (waitsForPlace) {
    clearTimeout(waitsForPlace);
    waitsForPlace = 0;
    const place = document.querySelector(`.place[data-letter="${CSS.escape(event.key)}"]`);
    if (place) location.assign(place.href);
    return;
  }
  const act = shortcuts[event.key];
  if (act) act(event);
});

const shortcuts = {
  g: () => { waitsForPlace = setTimeout(() => { waitsForPlace = 0; }, 1200); },
  "/": (event) => {
    const search = document.querySelector("[data-search]");
    event.preventDefault();
    if (search) search.focus();
    else openPalette();
  },
  "?": () => openShortcuts(),
  "[": () => toggleSlim(),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  Enter: (event) => {
    const row = document.querySelector("tr.is-focused");
    if (row && event.target.closest("a, button, summary") === null) location.assign(row.dataset.href);
  },
};

function moveRow(step) {
  const rows = [...document.querySelectorAll("tr[data-href]")];
  if (rows.length === 0) return;
  const now = rows.findIndex((row) => row.classList.contains("is-focused"));
  const next = rows[Math.max(0, Math.min(rows.length - 1, now + step))];
  rows[now]?.classList.remove("is-focused");
  next.classList.add("is-focused");
  const link = next.querySelector("a.row-link");
  if (link) link.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function escape(event) {
  if (byId("shell")?.classList.contains("rail-open")) return setRail(false);
  const menu = document.querySelector("details.drop[open]");
  if (menu) {
    menu.removeAttribute("open");
    return menu.querySelector("summary").focus();
  }
  if (document.querySelector("dialog[open]")) return undefined; // the dialog closes itself
  if (isTyping(event.target)) return event.target.blur();
  const up = document.querySelector(".crumbs a:last-of-type");
  if (up) location.assign(up.href);
  return undefined;
}

// --- Palette ---------------------------------------------------------------------------------------------------------------------

const paletteItems = () => [...document.querySelectorAll("#palette .palette-item")];

function markFirst() {
  paletteItems().forEach((item, place) => item.setAttribute("aria-selected", String(place === 0)));
  pointAtMarked();
}

function pointAtMarked() {
  const marked = document.querySelector("#palette .palette-item[aria-selected=true]");
  const input = document.querySelector("#palette input");
  if (!input) return;
  if (marked) input.setAttribute("aria-activedescendant", marked.id);
  else input.removeAttribute("aria-activedescendant");
}

function paletteKey(event) {
  const items = paletteItems();
  const now = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const next = Math.max(0, Math.min(items.length - 1, now + (event.key === "ArrowDown" ? 1 : -1)));
    items.forEach((item, place) => item.setAttribute("aria-selected", String(place === next)));
    items[next]?.scrollIntoView({ block: "nearest" });
    pointAtMarked();
  }
  if (event.key === "Enter" && items[now]) {
    event.preventDefault();
    const chosen = items[now];
    if (chosen.dataset.sheet !== undefined) {
      byId("palette").close();
      openSheet(chosen.href);
    } else location.assign(chosen.href);
  }
}

// --- Forms -------------------------------------------------------------------------------------------------------------------------

document.addEventListener("input", (event) => {
  const confirm = event.target.closest("[data-confirm]");
  if (confirm) {
    const button = confirm.form.querySelector("[data-needs-confirm]");
    button.disabled = confirm.value.trim() !== confirm.dataset.confirm;
  }
  const form = event.target.form;
  if (form?.matches("[data-changes]")) showChanges(form);
});

function isChanged(control) {
  if (!control.name || control.type === "hidden") return false;
  if (control.type === "checkbox" || control.type === "radio") return control.checked !== control.defaultChecked;
  if (control.tagName !== "SELECT") return control.value !== control.defaultValue;
  const options = [...control.options];
  // A choice without a default begins with its first option.
  const first = options.findIndex((option) => option.defaultSelected);
  return control.multiple
    ? options.some((option) => option.selected !== option.defaultSelected)
    : control.selectedIndex !== Math.max(0, first);
}

function showChanges(form) {
  const changed = new Set();
  for (const control of form.elements) {
    if (isChanged(control)) {
      const label = control.closest("fieldset.field")?.querySelector("legend") || control.closest(".field")?.querySelector("label, legend");
      changed.add((label?.firstChild?.textContent || control.name).trim());
    }
  }
  for (const list of form.querySelectorAll("[data-changed]")) changed.add(list.dataset.label);
  const line = form.querySelector(".changes");
  if (line) line.textContent = changed.size ? `Changes: ${[...changed].join(", ")}` : wasRefused(form) ? "Not saved yet" : "Nothing changed";
}

// What was typed and not sent is asked about before it is lost: on leaving the page, on closing the sheet.
const GUARDED = "form[data-guard], form[data-changes]";
// A form that came back with errors holds what was typed as if it had always stood there, and none of it is saved.
const wasRefused = (form) => form.querySelector("[aria-invalid=true], .field-error, .notice-stopped[role=alert]") !== null;
const isUnsent = (form) => form.dataset.sent === undefined && (wasRefused(form) || form.querySelector("[data-changed]") !== null || [...form.elements].some(isChanged));
const mayLeave = (root) =>
  ![...root.querySelectorAll(GUARDED)].some(isUnsent) || confirm("Leave without saving what you typed?");

addEventListener("beforeunload", (event) => {
  if ([...document.querySelectorAll(GUARDED)].some(isUnsent)) event.preventDefault();
});
document.addEventListener("cancel", (event) => {
  if (event.target.tagName === "DIALOG" && !mayLeave(event.target)) event.preventDefault();
}, true);

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-theme-form]")) return switchTheme(event);
  form.classList.add("is-sending");
  form.dataset.sent = "";
  setTimeout(() => form.classList.remove("is-sending"), 4000);
  return undefined;
});

function switchTheme(event) {
  event.preventDefault();
  const root = document.documentElement;
  const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  root.dataset.theme = next;
  document.dispatchEvent(new CustomEvent("theme-changed"));
  const body = new FormData(event.target);
  body.set("theme", next);
  fetch(event.target.action, { method: "POST", body, headers: { "x-requested-with": "fetch" } });
}

// Rows of a form that can be added and taken away: a template with "__n__" where a row's number belongs.
function addRow(button) {
  const list = byId(button.dataset.addRow);
  const numbers = [...list.querySelectorAll("[data-row]")].map((row) => Number(row.dataset.row));
  const next = Math.max(-1, ...numbers) + 1;
  const holder = document.createElement("template");
  holder.innerHTML = byId(`${list.id}-template`).innerHTML.replaceAll("__n__", String(next));
  list.append(holder.content);
  const row = list.lastElementChild;
  followChoices(row);
  focusFirst(row);
  rowsChanged(list);
}

function removeRow(button) {
  const row = button.closest("[data-row]");
  const list = row.parentElement;
  const beside = row.nextElementSibling || row.previousElementSibling;
  row.remove();
  (beside?.querySelector("input, select") || document.querySelector(`[data-add-row="${list.id}"]`))?.focus();
  rowsChanged(list);
}

function rowsChanged(list) {
  list.dataset.changed = "";
  for (const button of document.querySelectorAll(`[data-add-row="${list.id}"]`)) {
    button.hidden = list.childElementCount >= Number(button.dataset.most);
  }
  const form = list.closest("form");
  if (form.matches("[data-changes]")) showChanges(form);
  list.dispatchEvent(new Event("input", { bubbles: true }));
}

// A choice that adds a line to the list above it, and goes back to its first option.
function addLine(select) {
  const area = select.form.querySelector(`[name="${select.dataset.adds}"]`);
  const line = select.value;
  if (!line) return;
  const [between, join] = area.tagName === "TEXTAREA" ? ["\n", "\n"] : [",", ", "];
  const lines = area.value.split(between).map((one) => one.trim()).filter(Boolean);
  if (!lines.includes(line)) area.value = [...lines, line].join(join);
  select.value = "";
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

// Vendor and credential forms show only the fields that the choice above them needs.
function followChoices(root) {
  for (const part of root.querySelectorAll("[data-shown-for]")) {
    const [name, values] = part.dataset.shownFor.split("=");
    const form = part.closest("[data-row], form");
    const chosen = form.querySelector(`[name="${name}"]:checked`) || form.querySelector(`select[name="${name}"]`);
    part.hidden = !chosen || !values.split("|").includes(chosen.value);
  }
}
// An address says what was chosen, not what was left alone.
document.addEventListener("formdata", (event) => {
  if (event.target.getAttribute("method") !== "get") return;
  for (const name of new Set(event.formData.keys())) {
    if (event.formData.getAll(name).every((value) => value === "")) event.formData.delete(name);
  }
});
document.addEventListener("change", (event) => {
  if (event.target.form) followChoices(event.target.form);
  if (event.target.matches("[data-adds]")) addLine(event.target);
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  if (event.target.matches("[data-fills]")) fillExample(event.target);
});
// A form that comes back with errors has its vendor already.
function fillExample(select) {
  const option = select.selectedOptions?.[0];
  const filled = select.form.querySelector(`[name="${select.dataset.fills}"]`);
  if (filled && option?.dataset.value !== undefined) filled.placeholder = option.dataset.value;
}

// --- Time zones: the page's, and this browser's --------------------------------------------------------------------------------------

const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";

function clockIn(zone) {
  return new Date().toLocaleString("en-GB", { timeZone: zone });
}
function offerZone(root) {
  if (!browserZone) return;
  for (const select of root.querySelectorAll("select[data-zones]")) {
    const isChoice = [...select.options].some((option) => option.value === browserZone);
    if (!isChoice || select.parentElement.querySelector("[data-zone-offer]")) continue;
    const offer = document.createElement("button");
    offer.type = "button";
    offer.className = "zone-offer link small";
    offer.dataset.zoneOffer = "";
    offer.textContent = `Use ${browserZone}, as this browser does`;
    offer.hidden = select.value === browserZone;
    select.after(offer);
  }
  for (const place of root.querySelectorAll("[data-zone]")) {
    if (place.dataset.zoneTold !== undefined || clockIn(place.dataset.zone) === clockIn(browserZone)) continue;
    place.dataset.zoneTold = "";
    // At the end, so that nothing that was drawn moves.
    place.closest("p").append(` This browser is in ${browserZone}.`);
  }
}
document.addEventListener("click", (event) => {
  const offer = event.target.closest?.("[data-zone-offer]");
  if (!offer) return;
  const select = offer.parentElement.querySelector("select[data-zones]");
  select.value = browserZone;
  for (const name of ["input", "change"]) select.dispatchEvent(new Event(name, { bubbles: true }));
  select.focus();
});
document.addEventListener("change", (event) => {
  if (!event.target.matches("select[data-zones]")) return;
  const offer = event.target.parentElement.querySelector("[data-zone-offer]");
  if (offer) offer.hidden = event.target.value === browserZone;
});

// --- Time, toasts, live parts --------------------------------------------------------------------------------------------------------

function ago(then) {
  const gap = (Date.now() - then) / 1000;
  const seconds = Math.abs(gap);
  let text;
  if (seconds < 10) return "just now";
  if (seconds < 90) text = `${Math.round(seconds)} s`;
  else if (seconds < 5400) text = `${Math.round(seconds / 60)} min`;
  else if (seconds < 129600) text = `${Math.round(seconds / 3600)} h`;
  else if (seconds < 63072000) text = `${Math.round(seconds / 86400)} days`;
  else text = `${Math.round(seconds / 31536000)} years`;
  return gap < 0 ? `in ${text}` : `${text} ago`;
}

setInterval(() => {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-ago]")) time.textContent = ago(Date.parse(time.dateTime));
}, 15000);

// Polling rests while nobody looks, and while the pointer is in the part that would change under it.
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.target.closest("[data-live]");
  if (part && event.target === part && (document.hidden || part.matches("[data-rests]:hover"))) event.preventDefault();
});

// Rows that are being read hold still; what came meanwhile is counted, and shown when the pointer has left.
document.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.detail.target.closest("[data-holds]");
  const chip = document.querySelector("[data-held]");
  if (!part || !chip) return;
  if (!part.matches(":hover") && !part.contains(document.activeElement)) {
    chip.hidden = true;
    return;
  }
  event.detail.shouldSwap = false;
  const known = new Set([...part.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
  const came = new DOMParser().parseFromString(event.detail.serverResponse, "text/html").querySelectorAll("[data-id]");
  const count = [...came].filter((row) => !known.has(row.dataset.id)).length;
  chip.textContent = count ? `Paused, ${count} new` : "Paused";
  chip.hidden = false;
});

document.addEventListener("htmx:responseError", (event) => {
  delete event.target.dataset.sent;
  toast(event.detail.xhr.status === 404
    ? "That is not there any more. Reload the page to see how things are."
    : `The console could not answer (${event.detail.xhr.status}). Nothing was changed; try again.`);
});
document.addEventListener("htmx:sendError", (event) => {
  delete event.target.dataset.sent;
  if (!event.target.closest("[data-live]")) toast("The console cannot be reached. Check the connection and try again.");
});

function toast(text) {
  const item = document.createElement("div");
  item.className = "toast-item notice-stopped";
  item.dataset.toast = "";
  const words = document.createElement("span");
  words.textContent = text;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.dataset.dismiss = "";
  button.setAttribute("aria-label", "Dismiss");
  button.textContent = "×";
  item.append(document.createElement("i"), words, button);
  byId("toasts").append(item);
}

// What scrolls and holds nothing to focus can be reached by the keyboard all the same.
function reachScrollers() {
  for (const scroller of document.querySelectorAll(".grid-scroll")) {
    const isScrolling = scroller.scrollWidth > scroller.clientWidth || scroller.scrollHeight > scroller.clientHeight;
    if (isScrolling && !scroller.querySelector("a, button")) scroller.tabIndex = 0;
    else scroller.removeAttribute("tabindex");
  }
}
addEventListener("resize", reachScrollers);
// What was folded had no size. `toggle` does not bubble; it is caught on its way down.
document.addEventListener("toggle", reachScrollers, true);

// A table's values as a file: what a cell shortens is whole in its data-value; a column's unit stands with its name.
function saveTable(button) {
  const table = button.closest("details").querySelector("table");
  const name = (cell) => (cell.dataset.unit ? `${cell.textContent} (${cell.dataset.unit})` : cell.textContent);
  const value = (cell) => cell.dataset.value ?? cell.textContent.trim();
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [...table.rows].map((row, number) => [...row.cells].map((cell) => quoted((number ? value : name)(cell))).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
  link.download = `${button.dataset.tableCsv}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-table-csv]");
  if (button) saveTable(button);
});

function settle(root) {
  reachScrollers();
  for (const item of root.querySelectorAll("[data-toast]:not([data-settled])")) {
    item.dataset.settled = "";
    if (!item.classList.contains("notice-stopped")) setTimeout(() => item.remove(), 7000);
  }
  followChoices(root);
  offerZone(root);
  for (const select of root.querySelectorAll("[data-fills]")) fillExample(select);
  for (const form of root.querySelectorAll("form[data-changes]")) showChanges(form);
}
document.addEventListener("htmx:afterSettle", () => settle(document));
// The place one is at stays in sight where the bar is longer than the screen; the page itself does not move.
function showPlace() {
  const rail = byId("rail"), here = rail?.querySelector(".place[aria-current]");
  if (!here) return;
  const below = here.getBoundingClientRect().bottom - rail.getBoundingClientRect().bottom + 48;
  if (below > 0) rail.scrollTop += below + here.offsetHeight;
}

document.addEventListener("DOMContentLoaded", () => { settle(document); showPlace(); });
