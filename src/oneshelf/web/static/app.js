// Makes pages live. The server draws; this only exchanges what changed, and never under your hands.
"use strict";
const body = document.body, byId = id => document.getElementById(id), all = sel => document.querySelectorAll(sel);
const HIDDEN_MS = 60000, AIM_MS = 250, SAY_MS = 10000, STALE_MS = 500;
let have = body.dataset.digest, source = null, lastHeard = Date.now(), aheadMs = 0, held = false, heldCount = 0, aimedAt = 0;
let waiting = new Map(), moved = 0, saidAt = 0;

// --- the live state at the foot ------------------------------------------------------------------
const SHAPES = {
  ok: '<circle cx="5" cy="5" r="4" fill="currentColor"/>',
  flow: '<circle cx="5" cy="5" r="3.25" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M5 5V1.75A3.25 3.25 0 0 1 5 8.25Z" fill="currentColor"/>',
  unknown: '<circle cx="5" cy="5" r="3.6" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.2 1.6"/>',
};
function state(tone, words) {
  all("[data-live-state]").forEach(el => {
    const glyph = el.querySelector("svg"), text = el.querySelector("span");
    if (text.textContent === words) return;
    glyph.setAttribute("class", "g g-" + tone); glyph.innerHTML = SHAPES[tone]; text.textContent = words;
  });
  body.classList.toggle("off", tone === "unknown");
}
const hms = ms => new Date(ms).toISOString().slice(11, 19);
function look() {
  if (!source) return;
  const quiet = Date.now() - lastHeard;
  if (held) state("flow", heldCount ? "Held still · " + heldCount + (heldCount === 1 ? " change" : " changes") : "Held still");
  else if (quiet < 13000) state("ok", "Live");
  else if (quiet < 25000) state("flow", "Reconnecting");
  else state("unknown", "Not live since " + hms(lastHeard + aheadMs));
  ages(quiet < 25000);
}
// "40 s ago" beside a live page, the clock time beside one that is not.
function ages(live) {
  all("time[data-ago]").forEach(el => {
    if (!el.dataset.clock) el.dataset.clock = el.textContent;
    const s = Math.max(0, (Date.now() + aheadMs - Date.parse(el.dateTime)) / 1000);
    const text = !live ? el.dataset.clock : s < 100 ? Math.round(s) + " s ago" : s < 5940 ? Math.round(s / 60) + " min ago" : el.dataset.clock;
    if (el.textContent !== text) el.textContent = text;
  });
}

// --- changes ---------------------------------------------------------------------------------------
// An element is busy while it has focus, an open popover stands on it, or text in it is selected.
function busy(el) {
  if (!el) return false;
  if (el.contains(document.activeElement) && document.activeElement !== body) return true;
  if (el.querySelector('[aria-expanded="true"]')) return true;
  const chosen = getSelection();
  return !!chosen && !chosen.isCollapsed && chosen.containsNode(el, true);
}
function later(key, change) { waiting.set(key, change); if (held) heldCount = waiting.size; }
function apply(key, el, change) {
  if (held || busy(el) || Date.now() - aimedAt < AIM_MS) later(key, change); else { waiting.delete(key); change(); }
}
setInterval(() => {
  if (held || Date.now() - aimedAt < AIM_MS) return;
  const todo = [...waiting]; waiting.clear();
  todo.forEach(([key, change]) => {
    const table = key.startsWith("new-") ? byId(key.slice(4)) : null, el = table || byId(key);  // "new-": rows that a pill tells of
    if (busy(el) || (table && (table.matches(":hover") || table.scrollTop >= 4))) waiting.set(key, change); else change();
  });
}, 500);
function light(el) { el.classList.remove("moved"); void el.offsetWidth; el.classList.add("moved"); moved++; }
function compare(old, fresh) {  // light up the numbers that differ
  const before = [...old.querySelectorAll(".v")].map(el => el.textContent);
  fresh.querySelectorAll(".v").forEach((el, i) => { if (before[i] !== el.textContent) light(el); });
}
function say() {
  if (!moved || Date.now() - saidAt < SAY_MS) return;
  byId("said").textContent = moved + (moved === 1 ? " number changed" : " numbers changed"); moved = 0; saidAt = Date.now();
}
setInterval(() => { look(); say(); }, 1000);

function onCells(cells) {
  for (const [id, cell] of Object.entries(cells)) {
    const el = byId(id);
    if (el) apply(id, el, () => {
      const was = el.textContent; el.textContent = cell.t;
      if (el.classList.contains("v")) { el.className = "v" + (cell.state ? " t-" + cell.state : ""); if (was !== cell.t) light(el); } else el.title = cell.t;
    });
  }
}
function fromHtml(html) { const t = document.createElement("template"); t.innerHTML = html.trim(); return t.content.firstElementChild; }
function onRows(news) {
  const table = byId(news.in);
  if (!table) return;
  const fresh = [];
  for (const row of news.put) {
    const old = byId(row.id);
    if (old) apply(row.id, old, () => { const now = byId(row.id); if (!now) return; const el = fromHtml(row.html); now.replaceWith(el); compare(now, el); });
    else fresh.push(row);
  }
  for (const id of news.drop) { const old = byId(id); if (old && !fresh.length) apply(id, old, () => old.remove()); }
  if (fresh.length) enter(table, fresh, news.drop);
}
// New rows enter at the top; while a pointer or the focus is in the table, a pill waits instead.
function enter(table, fresh, drop) {
  const put = () => {
    const empty = table.closest(".card")?.querySelector("p.empty"); if (empty) empty.remove();
    fresh.slice().reverse().forEach(row => { if (byId(row.id)) return; const el = fromHtml(row.html); table.prepend(el); el.querySelectorAll(".v").forEach(light); });
    drop.forEach(id => byId(id)?.remove());
    const max = +table.dataset.max || 1e9; while (table.children.length > max) table.lastElementChild.remove();
  };
  if (!held && !table.matches(":hover") && !busy(table) && table.scrollTop < 4) return put();
  const key = "new-" + table.id, card = table.closest(".card");
  const many = (+(card.dataset.fresh || 0)) + fresh.length; card.dataset.fresh = many;
  const before = waiting.get(key); later(key, () => { if (before) before(); put(); delete card.dataset.fresh; card.querySelector(".pill")?.remove(); });
  let pill = card.querySelector(".pill");
  if (!pill) { pill = document.createElement("button"); pill.className = "pill"; card.querySelector("header").append(pill); }
  pill.textContent = many + " new"; pill.onclick = () => { const todo = waiting.get(key); waiting.delete(key); todo && todo(); };
}
let stale = new Set(), staleTimer = 0;
function onStale(ids) { ids.forEach(id => stale.add(id)); staleTimer ||= setTimeout(refresh, STALE_MS); }
async function refresh() {
  staleTimer = 0; const ids = [...stale]; stale.clear();
  const url = new URL(location.href); url.hash = ""; url.searchParams.set("part", ids.join(","));
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    ids.forEach(id => {
      const el = byId(id), fresh = page.getElementById(id);
      if (el && fresh) apply(id, el, () => { const old = el.cloneNode(true); el.replaceChildren(...fresh.childNodes); compare(old, el); });
    });
  } catch { /* the state at the foot tells */ }
}
function everything() { onStale([...new Set([...all("main [id]")].map(el => el.id))].filter(id => byId(id).matches("main div[id], tbody[id], ol[id]"))); setTimeout(() => figures(), 0); }
async function figures() {
  const url = new URL(location.href); url.hash = "";
  try {
    const page = new DOMParser().parseFromString(await (await fetch(url)).text(), "text/html");
    const cells = {}; page.querySelectorAll(".figs [id]").forEach(el => { cells[el.id] = { t: el.textContent, state: (el.className.match(/t-(\w+)/) || [])[1] || "" }; });
    onCells(cells);
  } catch { /* the state at the foot tells */ }
}

// --- the stream -------------------------------------------------------------------------------------
function open() {
  if (source || !body.dataset.topic) return;
  source = new EventSource("/live?" + new URLSearchParams({ on: body.dataset.topic, have, v: body.dataset.version }));
  const on = (name, work) => source.addEventListener(name, e => { lastHeard = Date.now(); if (e.lastEventId) have = e.lastEventId; work(JSON.parse(e.data)); look(); });
  on("clock", d => { aheadMs = Date.parse(d.now) - Date.now(); });
  on("cells", onCells); on("rows", onRows); on("stale", d => onStale(d.ids));
  source.onerror = () => { if (source?.readyState === 2) { close(); setTimeout(open, 3000); } };  // refused, not only cut
  on("reset", d => { if (d.why === "version") location.reload(); else everything(); });
}
function close() { source?.close(); source = null; }
let hideTimer = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hideTimer);
  if (document.hidden) hideTimer = setTimeout(close, HIDDEN_MS); else open();
});
addEventListener("pagehide", close); addEventListener("pageshow", open);
addEventListener("pointerdown", () => { aimedAt = Date.now(); }, true);

// --- hold still, why, keys ---------------------------------------------------------------------------
const hold = document.querySelector("[data-hold]");
function toggleHold() { held = !held; heldCount = 0; hold.setAttribute("aria-pressed", held); hold.textContent = held ? "Go on" : "Hold still"; look(); }
if (hold) { hold.hidden = false; hold.addEventListener("click", toggleHold); }
const why = byId("why"); let asked = null;
document.addEventListener("click", async e => {
  const link = e.target.closest?.("a[data-why]");
  if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button || !why.showPopover) return;
  e.preventDefault();
  const url = new URL(link.href); url.searchParams.set("part", "why");
  try {
    const answer = await fetch(url);
    if (!answer.ok) throw 0;
    why.innerHTML = await answer.text();
    why.hidePopover(); why.showPopover({ source: link }); asked = link; link.setAttribute("aria-expanded", "true");
  } catch { location.href = link.href; }
});
why?.addEventListener("toggle", e => { if (e.newState === "closed" && asked) { asked.removeAttribute("aria-expanded"); asked.focus({ preventScroll: true }); asked = null; } });
document.addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches?.("input, textarea, select")) return;
  if (e.key === "/") { const find = document.querySelector(".find input"); if (find?.offsetParent) { e.preventDefault(); find.focus(); } }
  if (e.key === "h" && hold) toggleHold();
});
open(); look();
