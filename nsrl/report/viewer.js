// The page of `nsrl view`: the records, what is shown of them, the list. All that models and data wrote becomes text
// nodes. It runs inside one async function, after viewer_detail.js, whose functions it calls.

const ROW = 76, OVERSCAN = 6;
const $ = (id) => document.getElementById(id);

// -- records ------------------------------------------------------------------------------------------------------

async function unpack() {
  const packed = atob($("data").textContent.trim());
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  $("data").remove();
  return JSON.parse(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text());
}

const data = await unpack();
const { sets, problems } = data, size = data.set.length;
const columns = Object.fromEntries(data.columns.map((c) => [c.name, c]));
const get = (name, i) => {
  const c = columns[name];
  if (!c) return null;
  return c.kind !== "text" ? c.values[i] : c.codes[i] < 0 ? null : c.words[c.codes[i]];
};
const of = (name, i) => problems[name][data.problem[i]];
const isGreedy = (i) => get("sample", i) < 0;
const verdict = (i) => { const c = get("correct", i); return c === null ? "not scored" : c ? "right" : "wrong"; };
const byProblem = problems.problem_id.map(() => []);
for (let i = 0; i < size; i++) byProblem[data.problem[i]].push(i);

// A facet is a code per record and a label per code; it is shown where there is more than one.
function facet(name, title, label, order) {
  const codes = new Int32Array(size), known = new Map();
  for (let i = 0; i < size; i++) {
    const text = label(i);
    if (!known.has(text)) known.set(text, known.size);
    codes[i] = known.get(text);
  }
  const labels = [...known.keys()], ranks = labels.map((_, code) => code);
  if (order) ranks.sort((a, b) => order(labels[a], labels[b]));
  return { name, title, codes, labels, ranks, chosen: new Set() };
}

const alphabetic = (a, b) => a.localeCompare(b, undefined, { numeric: true });
const facets = [
  facet("verdict", "Verdict", verdict, (a, b) => a.localeCompare(b)),
  facet("arm", "Run", (i) => sets[data.set[i]][0]),
  facet("point", "When", (i) => sets[data.set[i]][1]),
  facet("seed", "Seed", (i) => String(get("seed", i) ?? "(none)"), alphabetic),
  facet("kind", "Sampling", (i) => (isGreedy(i) ? "greedy" : "sampled"), alphabetic),
  facet("language", "Language", (i) => get("language", i) || "(none)", alphabetic),
  facet("status", "Engine", (i) => get("status", i) || (get("has_code", i) ? "(none)" : "no program"), alphabetic),
  facet("category", "Category", (i) => of("category", i) || "(none)", alphabetic),
];

// -- what is shown ------------------------------------------------------------------------------------------------

const state = { search: "", from: "", to: "", sort: "", a: 0, b: 0, by: "", outcome: "", record: -1 };
let shown = [], counts = [], place = new Int32Array(size);

const lowered = new Map();
function hits(key, words, word) { // which entries of a dictionary hold a word
  if (!lowered.has(key)) lowered.set(key, words.map((text) => (text ?? "").toLowerCase()));
  return Uint8Array.from(lowered.get(key), (text) => text.includes(word));
}

const OPERATORS = { "<": (a, b) => a < b, ">": (a, b) => a > b, "=": (a, b) => a === b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b };
function terms(text) {
  return [...text.matchAll(/(-?)(?:"([^"]*)"|(\S+))/g)].map(([, minus, phrase, bare]) => {
    const limit = bare?.match(/^([^<>=]+)(<=|>=|<|>|=)(-?[\d.]+)$/);
    if (limit && columns[limit[1]] && columns[limit[1]].kind !== "text") {
      const { values } = columns[limit[1]], holds = OPERATORS[limit[2]], bound = Number(limit[3]);
      return (i) => (values[i] !== null && holds(values[i], bound)) === !minus;
    }
    const word = (phrase ?? bare).toLowerCase();
    const asked = ["problem_id", "category", "question", "options", "answer"].map((name) => hits(`problem ${name}`, problems[name], word));
    const ofProblem = asked[0].map((_, p) => asked.some((found) => found[p]));
    const ofSet = hits("sets", sets.map((names) => names.join(" ")), word);
    const texts = data.columns.filter((c) => c.kind === "text").map((c) => ({ codes: c.codes, found: hits(c.name, c.words, word) }));
    return (i) => (ofProblem[data.problem[i]] || ofSet[data.set[i]] || texts.some((t) => t.codes[i] >= 0 && t.found[t.codes[i]]) ? !minus : !!minus);
  });
}

function apply() {
  const tests = terms(state.search), steps = columns.step?.values;
  const from = state.from === "" ? -Infinity : Number(state.from), to = state.to === "" ? Infinity : Number(state.to);
  const within = from > -Infinity || to < Infinity;
  const outcome = state.outcome ? comparison().outcomeOf : null;
  const active = [...facets.keys()].filter((f) => facets[f].chosen.size);
  const allowed = active.map((f) => Uint8Array.from(facets[f].labels, (label) => facets[f].chosen.has(label)));
  counts = facets.map((f) => new Uint32Array(f.labels.length));
  shown = [];
  for (let i = 0; i < size; i++) {
    if (within && !(steps && steps[i] !== null && steps[i] >= from && steps[i] <= to)) continue;
    if (outcome && (outcome[data.problem[i]] !== state.outcome || (data.set[i] !== state.a && data.set[i] !== state.b))) continue;
    let fits = true;
    for (let t = 0; t < tests.length && fits; t++) fits = tests[t](i);
    if (!fits) continue;
    let failing = -1, failed = 0;
    for (let f = 0; f < active.length && failed < 2; f++) if (!allowed[f][facets[active[f]].codes[i]]) { failed++; failing = active[f]; }
    // A count says how many there would be with this value chosen too: the facet's own choice does not narrow it.
    if (failed === 1) counts[failing][facets[failing].codes[i]]++;
    if (failed) continue;
    for (let f = 0; f < facets.length; f++) counts[f][facets[f].codes[i]]++;
    shown.push(i);
  }
  sortShown();
  place.fill(-1);
  shown.forEach((i, at) => { place[i] = at; });
}

function sortShown() {
  if (!state.sort) return;
  const down = state.sort.startsWith("-"), name = state.sort.replace(/^-/, "");
  const key = name === "problem" ? (i) => data.problem[i] : (i) => get(name, i);
  const keys = new Map(shown.map((i) => [i, key(i)]));
  const last = down ? -Infinity : Infinity; // nothing known stands at the end
  shown.sort((x, y) => (down ? -1 : 1) * ((keys.get(x) ?? last) - (keys.get(y) ?? last)) || x - y);
}

// -- the address: every choice, so that a view can be linked -------------------------------------------------------

const PLAIN = { search: "q", from: "from", to: "to", sort: "sort", by: "by", outcome: "outcome" };
function writeAddress() {
  const words = new URLSearchParams();
  for (const f of facets) for (const label of f.chosen) words.append(f.name, label);
  for (const [key, name] of Object.entries(PLAIN)) if (state[key]) words.set(name, state[key]);
  if (state.outcome || state.compared) { words.set("a", sets[state.a].join("/")); words.set("b", sets[state.b].join("/")); }
  if (state.record >= 0) words.set("record", state.record);
  const hash = words.toString();
  if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash ? `#${hash}` : location.href.split("#")[0]);
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const f of facets) f.chosen = new Set(words.getAll(f.name).filter((label) => f.labels.includes(label)));
  for (const [key, name] of Object.entries(PLAIN)) state[key] = words.get(name) ?? "";
  const named = (name, otherwise) => { const at = sets.findIndex((names) => names.join("/") === words.get(name)); return at < 0 ? otherwise : at; };
  const [a, b] = likelyPair();
  state.compared = words.has("a");
  state.a = named("a", a);
  state.b = named("b", b);
  const record = Number(words.get("record") ?? -1);
  state.record = Number.isInteger(record) && record < size ? record : -1;
}

// -- filters ------------------------------------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || (value === false && !name.startsWith("aria-"))) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, word] of Object.entries(value)) element.style.setProperty(key, word);
    else element.setAttribute(name === "className" ? "class" : name, value === true && !name.startsWith("aria-") ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const outputs = [];
function buildFilters() {
  const box = $("facets");
  for (const [at, f] of facets.entries()) {
    if (f.labels.length < 2) continue;
    const clear = make("button", { type: "button", className: "link", onclick: () => { f.chosen.clear(); changed(); } }, "clear");
    const values = make("div", { className: "values" });
    for (const code of f.ranks) {
      const label = f.labels[code], colour = f.name === "language" ? data.colours[label] : null;
      const tick = make("input", { type: "checkbox", onchange: () => { tick.checked ? f.chosen.add(label) : f.chosen.delete(label); changed(); } });
      const count = make("output"), name = make("span", { className: f.name === "language" ? "language" : null, style: colour ? { "--colour": colour } : {}, title: label }, label);
      const line = make("label", { className: "value" }, tick, name, count);
      outputs.push(() => {
        tick.checked = f.chosen.has(label);
        count.textContent = counts[at][code].toLocaleString("en");
        line.classList.toggle("none", !counts[at][code]);
      });
      values.append(line);
    }
    outputs.push(() => { clear.hidden = !f.chosen.size; });
    box.append(make("fieldset", {}, make("legend", {}, f.title, clear), values));
  }
  if (columns.step && new Set(columns.step.values).size > 2) {
    const end = (key, name) => {
      const input = make("input", { type: "number", placeholder: name, "aria-label": `${name} step`, oninput: () => { state[key] = input.value; changed(); } });
      outputs.push(() => { if (document.activeElement !== input) input.value = state[key]; });
      return input;
    };
    box.append(make("fieldset", {}, make("legend", {}, "Step"), make("div", { className: "range" }, end("from", "first"), "–", end("to", "last"))));
  }
  box.append(make("button", { className: "narrow", type: "button", onclick: back }, "Show the completions"));
  const keys = [["j", "k"], ["/"], ["o"], ["Esc"]], does = ["next, previous", "search", "overview", "back"];
  box.append(make("div", { className: "keys" }, ...keys.flatMap((names, i) => [...names.flatMap((k) => [make("kbd", {}, k), " "]), does[i], make("br")])));
  const sorts = [["", "as kept"], ["problem", "by problem"], ...["step", "tokens", "reward", "advantage"].filter((n) => columns[n]).flatMap((n) => [[n, `${n} ↑`], [`-${n}`, `${n} ↓`]])];
  $("sort").append(...sorts.map(([value, text]) => make("option", { value }, text)));
}

// -- the list: only the rows in sight are elements -----------------------------------------------------------------

const list = $("list"), rows = $("rows");
const MARKS = { right: ["✓", "right"], wrong: ["✕", "wrong"], "not scored": ["–", "unscored"] };
const dot = (i) => make("span", { className: `dot ${MARKS[verdict(i)][1]}`, role: "img", "aria-label": verdict(i), title: verdict(i) }, MARKS[verdict(i)][0]);
const language = (i) => { const name = get("language", i); return name ? make("span", { className: "language", style: { "--colour": data.colours[name] ?? "#94a3b8" } }, name) : null; };
const oneLine = (text, most = 160) => (text ?? "").slice(0, 4 * most).replace(/\s+/g, " ").trim().slice(0, most);
const setName = (s) => (new Set(sets.map((names) => names[0])).size > 1 ? sets[s].join(" · ") : sets[s][1]);
const seeds = facets[3].labels.length > 1;
const drawName = (i) => [seeds && get("seed", i) !== null ? `seed ${get("seed", i)}` : "", isGreedy(i) ? "greedy" : get("sample", i) === null ? "" : `sample ${get("sample", i)}`].filter(Boolean).join(", ");

function row(at) {
  const i = shown[at], tokens = get("tokens", i);
  return make("div", { className: "row", role: "option", id: `row-${i}`, "data-at": at, "aria-selected": i === state.record, "aria-setsize": shown.length, "aria-posinset": at + 1, style: { transform: `translateY(${at * ROW}px)` } },
    dot(i),
    make("span", { className: "line" }, make("bdi", {}, oneLine(of("question", i)) || of("problem_id", i))),
    make("pre", {}, oneLine(get("program", i) || get("completion", i)) || "(nothing)"),
    make("span", { className: "meta" }, language(i), make("span", {}, [setName(data.set[i]), of("category", i)].filter(Boolean).join(" · ")), make("span", {}, tokens === null ? "" : `${tokens} tok`)));
}

function drawRows() {
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - OVERSCAN);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + OVERSCAN);
  const made = [];
  for (let at = first; at < last; at++) made.push(row(at));
  rows.style.height = `${shown.length * ROW}px`;
  rows.replaceChildren(...(shown.length ? made : [make("p", { className: "empty" }, "No completion fits these filters.")]));
  if (place[state.record] >= first && place[state.record] < last) list.setAttribute("aria-activedescendant", `row-${state.record}`);
  else list.removeAttribute("aria-activedescendant");
}

function intoSight(at) {
  if (at * ROW < list.scrollTop) list.scrollTop = at * ROW;
  else if ((at + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (at + 1) * ROW - list.clientHeight;
}

// -- acts ---------------------------------------------------------------------------------------------------------

function draw() {
  outputs.forEach((put) => put());
  const among = new Set(shown.map((i) => data.problem[i])).size;
  const number = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  $("count").textContent = `${shown.length < size ? `${shown.length.toLocaleString("en")} of ` : ""}${number(size, "completion")}, ${number(among, "problem")}`;
  $("chips").replaceChildren(...(state.outcome ? [make("button", { className: "chip", type: "button", onclick: () => { state.outcome = ""; changed(); } }, `${OUTCOMES[state.outcome]}: ${setName(state.a)} → ${setName(state.b)} ✕`)] : []));
  if (document.activeElement !== $("search")) $("search").value = state.search;
  $("sort").value = state.sort;
  drawRows();
  if (state.record < 0) drawOverview();
}

function changed() {
  apply();
  list.scrollTop = 0;
  writeAddress();
  draw();
}

function select(i, show = true) {
  state.record = i;
  if (i < 0) drawOverview();
  else drawRecord(i);
  if (show) document.body.dataset.pane = "detail";
  if (place[i] >= 0) intoSight(place[i]);
  drawRows();
  writeAddress();
}

function move(by) {
  if (!shown.length) return;
  const at = place[state.record] ?? -1;
  select(shown[at < 0 || at === undefined ? 0 : Math.min(shown.length - 1, Math.max(0, at + by))]);
}

function back() {
  const { pane } = document.body.dataset;
  document.body.dataset.pane = "list";
  if (pane === "list" && state.record >= 0) select(-1, false);
  list.focus({ preventScroll: true });
}

list.addEventListener("scroll", drawRows);
list.addEventListener("click", (event) => { const chosen = event.target.closest(".row"); if (chosen) select(shown[Number(chosen.dataset.at)]); });
new ResizeObserver(drawRows).observe(list);
$("search").addEventListener("input", (event) => { state.search = event.target.value; changed(); });
$("sort").addEventListener("change", (event) => { state.sort = event.target.value; changed(); });
$("overview").addEventListener("click", () => select(-1));
$("open-filters").addEventListener("click", () => { document.body.dataset.pane = document.body.dataset.pane === "filters" ? "list" : "filters"; });
addEventListener("hashchange", () => { readAddress(); apply(); draw(); select(state.record, false); });
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") { event.preventDefault(); document.activeElement?.blur?.(); back(); return; } // else the search would look empty and still filter
  if (event.target.matches("input, select, textarea") && event.target.type !== "checkbox") return;
  const acts = { j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), "/": () => { document.body.dataset.pane = "list"; $("search").focus(); }, o: () => select(-1) };
  if (acts[event.key] && !(event.key.startsWith("Arrow") && event.target !== list && event.target !== document.body)) { event.preventDefault(); acts[event.key](); }
});

buildFilters();
readAddress();
apply();
draw();
select(state.record, state.record >= 0 && location.hash.includes("record="));
document.documentElement.dataset.ready = performance.now().toFixed(0);
