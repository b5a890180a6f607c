// The page of `nsrl view`, right side: one completion with its problem in every arm, and the overview with two points
// against each other. Functions alone: viewer.js has the records and calls them.

const OUTCOMES = { gained: "became right", lost: "became wrong", kept: "right in both", missed: "wrong in both" };
const SHOWN_TRIES = 8;
const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)}%`);
const short = (value) => (Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4))));
const mean = (values) => (values.length ? values.reduce((sum, v) => sum + v, 0) / values.length : null);

let pictureUrls = null;
function picture(p) {
  if (problems.picture[p] < 0) return "";
  pictureUrls ??= $("pictures").textContent.split("\n");
  return pictureUrls[problems.picture[p]] ?? "";
}

function panel(title, ...children) {
  return make("section", { className: "panel" }, make("h3", {}, title), ...children);
}

// -- one completion -----------------------------------------------------------------------------------------------

function drawRecord(i) {
  const p = data.problem[i], scored = verdict(i), at = place[i];
  const step = (by, sign, name) => make("button", { type: "button", "aria-label": name, title: name, disabled: at < 0 || at + by < 0 || at + by >= shown.length, onclick: () => move(by) }, sign);
  const top = make("div", { className: "top" },
    make("span", { className: `badge ${MARKS[scored][1]}` }, scored),
    make("h2", {}, of("category", i) || of("problem_id", i)),
    make("small", {}, [of("problem_id", i), setName(data.set[i]), get("step", i) === null || sets[data.set[i]][1] !== "training" ? "" : `step ${get("step", i)}`, drawName(i)].filter(Boolean).join(" · ")),
    make("span", { className: "steps" }, make("button", { className: "narrow", type: "button", onclick: back }, "‹ list"), step(-1, "↑", "previous (k)"), step(1, "↓", "next (j)")));
  $("detail").replaceChildren(make("div", { className: "wide" }, top, asked(p, i), make("div", { className: "two" }, wrote(i), engine(i)), rewards(i), numbers(i),
    make("h3", { className: "over" }, "The same problem, everywhere"), arms(p, i)));
  $("detail").scrollTop = 0;
  const column = $("detail").querySelector(".try[aria-current=true]").closest(".arm"), strip = column.parentElement;
  strip.scrollLeft = column.offsetLeft - (strip.clientWidth - column.offsetWidth) / 2; // among its neighbours
}

function asked(p, i) {
  const url = picture(p), options = (problems.options[p] ?? "").split("\n").filter(Boolean);
  const box = make("section", { className: `panel asked${url ? "" : " text"}` },
    url ? make("button", { type: "button", "aria-label": "picture, larger or smaller", onclick: () => box.classList.toggle("large") }, make("img", { src: url, alt: "picture of the problem" }), ...looked(i)) : null,
    make("div", {},
      make("p", { className: "question" }, (problems.question[p] ?? "").replaceAll("<image>", " ").trim()),
      options.length ? make("ul", { className: "options" }, ...options.map((text) => make("li", {}, text))) : null,
      make("p", { className: "gold" }, make("span", { className: "soft" }, "gold answer "), make("b", {}, make("bdi", {}, problems.answer[p] ?? "none")))));
  return box;
}

const ending = (text) => (text?.length > 50 ? `… ${text.slice(-45)}` : text); // of long prose, where its answer is

function pieces(i) { // text before the program, the program, text behind it
  const text = get("completion", i) ?? "", program = get("program", i) ?? "", at = program ? text.indexOf(program) : -1;
  if (at >= 0) return [text.slice(0, at), program, text.slice(at + program.length)];
  return program ? [text ? `${text}\n` : "", program, ""] : [text, "", ""];
}

function turnsOf(i) { // [{ by, text }] of a conversation; none where there was but one turn
  let turns = null;
  try { turns = JSON.parse(get("turns", i) ?? "null"); } catch { return []; } // of a table that is not ours
  return Array.isArray(turns) && turns.length > 1 ? turns.map((turn) => ({ by: turn?.by, text: String(turn?.text ?? "") })) : [];
}

const SEEN = /\(picture of (\d+ × \d+) pixels, [^)]*\)/g;
const BOX = /\[\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*\]/g;

function looked(i) { // where a conversation looked into the problem's one picture: a frame for each turn that was shown a part
  const width = get("image_width", i), height = get("image_height", i), turns = turnsOf(i), frames = [];
  if (!width || !height || get("n_images", i) !== 1) return frames;
  const share = (at, of) => 100 * Math.min(1, Math.max(0, at / of));
  turns.forEach((turn, at) => {
    const box = turn.by === "shown" ? null : [...turn.text.matchAll(BOX)].at(-1);
    if (!box || turns[at + 1]?.by !== "shown" || turns[at + 1].text.search(SEEN) < 0) return;
    const [left, top, right, bottom] = box.slice(1).map((edge, side) => share(Number(edge), side % 2 ? height : width));
    frames.push(make("span", { className: "look", title: `turn ${1 + at / 2}`, style: { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` } }));
  });
  return frames;
}

function spoken(i) { // turns of a conversation, what was shown between them set apart; null where there was but one
  const turns = turnsOf(i), program = get("program", i) ?? "";
  if (!turns.length) return null;
  return turns.map(({ by, text }, number) => {
    if (by === "shown") return make("samp", { className: "shown", title: "shown to the model, not written by it" }, text.replaceAll(SEEN, "(picture, $1 pixels)") || "(nothing)");
    const at = program && number === turns.length - 1 ? text.indexOf(program) : -1;
    const parts = at < 0 ? [text || "(nothing)"] : [text.slice(0, at), make("mark", { title: "the program" }, program), text.slice(at + program.length)];
    return make("span", { className: "turn" }, ...parts);
  });
}

function wrote(i) {
  const [before, program, after] = pieces(i), turns = spoken(i), name = get("language", i), tokens = get("tokens", i);
  const cut = get("finish", i) === "length" ? ", cut at the limit" : "";
  return make("section", { className: "panel" },
    make("h3", {}, "What it wrote ", language(i), tokens === null ? "" : ` · ${tokens} tokens${cut}`),
    make("pre", { className: "wrote", tabindex: 0, "aria-label": `completion${name ? ` in ${name}` : ""}` }, ...(turns ?? [before, program ? make("mark", { title: "the program" }, program) : null, after, before + program + after ? null : "(nothing)"])));
}

function engine(i) {
  const value = get("value_text", i), ran = get("has_code", i) ?? !!get("program", i), status = get("status", i), reason = get("reason", i);
  const known = new Set(["completion", "program", "language", "value_text", "status", "reason", "finish", "turns"]);
  const others = data.columns.filter((c) => c.kind === "text" && !known.has(c.name) && get(c.name, i));
  return panel(ran ? "What the engine said" : "Answer read from the text",
    make("div", { className: "said" }, make("bdi", {}, (ran ? value : ending(value)) || "(no value)")),
    make("p", { className: "note" }, status ? make("span", { className: "badge plain" }, status) : ran ? null : make("span", { className: "badge plain" }, "no program"), " ",
      reason ? make("small", {}, `checked: ${reason}`) : null),
    ...others.map((c) => make("p", { className: "note" }, make("small", {}, `${c.name} `), make("bdi", {}, get(c.name, i)))));
}

function rewards(i) {
  const parts = data.columns.filter((c) => c.name.startsWith("rewards/") && c.values?.[i] !== null && c.kind !== "text");
  if (get("reward", i) === null && !parts.length) return null;
  const lines = [...parts.map((c) => [c.name.slice(8), c.values[i]]), ["reward, weighted", get("reward", i)], ["advantage", get("advantage", i)]].filter(([, value]) => value !== null);
  const most = Math.max(1e-9, ...lines.map(([, value]) => Math.abs(value)));
  return panel("Reward", make("table", { className: "rewards" }, ...lines.map(([name, value]) => make("tr", {}, make("td", {}, name), make("td", {}, make("b", {}, short(value))),
    make("td", {}, make("span", { className: `bar${value < 0 ? " minus" : ""}`, style: { width: `${(100 * Math.abs(value)) / most}%` } }))))));
}

function numbers(i) {
  const placed = new Set(["sample", "correct", "has_code", "reward", "advantage"]);
  const lines = data.columns.filter((c) => c.kind !== "text" && !placed.has(c.name) && !c.name.startsWith("rewards/") && c.values[i] !== null);
  if (!lines.length) return null;
  return panel("Numbers", make("dl", { className: "numbers" }, ...lines.map((c) => make("div", {}, make("dt", {}, c.name.replaceAll("_", " ")), make("dd", {}, c.kind === "flag" ? (c.values[i] ? "yes" : "no") : short(c.values[i]))))));
}

function arms(p, selected) {
  const groups = new Map();
  for (const i of byProblem[p]) groups.set(data.set[i], [...(groups.get(data.set[i]) ?? []), i]);
  const order = [...groups.keys()].sort((a, b) => a - b);
  return make("div", { className: "arms", role: "group", "aria-label": "the same problem in every run and at every point" }, ...order.map((s) => {
    const tries = groups.get(s).sort((a, b) => (get("seed", a) ?? 0) - (get("seed", b) ?? 0) || (get("sample", a) ?? 0) - (get("sample", b) ?? 0));
    const scored = tries.filter((i) => verdict(i) !== "not scored"), right = scored.filter((i) => verdict(i) === "right").length;
    const column = make("section", { className: "arm" }, make("h4", {}, setName(s), make("small", {}, scored.length ? `${right} of ${scored.length} right` : "not scored")));
    const first = tries.slice(0, SHOWN_TRIES), rest = tries.slice(SHOWN_TRIES);
    if (rest.includes(selected)) first.push(...rest.splice(rest.indexOf(selected), 1));
    column.append(...first.map((i) => attempt(i, selected)));
    if (rest.length) column.append(make("button", { type: "button", onclick: (event) => { event.target.replaceWith(...rest.map((i) => attempt(i, selected))); } }, `${rest.length} more`));
    return column;
  }));
}

function attempt(i, selected) {
  const tokens = get("tokens", i);
  return make("button", { type: "button", className: "try", "aria-current": i === selected, onclick: () => select(i) },
    make("span", { className: "head" }, dot(i), make("b", {}, make("bdi", {}, oneLine(get("value_text", i), 60) || "(no value)"))),
    make("pre", {}, (get("program", i) || get("completion", i) || "(nothing)").slice(0, 600)),
    make("span", { className: "meta" }, language(i), make("span", {}, drawName(i)), make("span", {}, tokens === null ? "" : `${tokens} tok`)));
}

// -- overview -----------------------------------------------------------------------------------------------------

// Accuracy is the mean over problems of the mean over samples; greedy answers are counted apart.
function sums(records) {
  const samples = new Map(), greedy = [], tokens = [], asked = new Set();
  for (const i of records) {
    const c = get("correct", i);
    asked.add(data.problem[i]);
    if (get("tokens", i) !== null) tokens.push(get("tokens", i));
    if (c === null) continue;
    if (isGreedy(i)) { greedy.push(c); continue; }
    const so = samples.get(data.problem[i]) ?? [0, 0];
    samples.set(data.problem[i], [so[0] + c, so[1] + 1]);
  }
  return { problems: asked.size, accuracy: mean([...samples.values()].map(([right, n]) => right / n)), greedy: mean(greedy), tokens: mean(tokens) };
}

function drawOverview() {
  const groups = sets.map(() => []);
  for (const i of shown) groups[data.set[i]].push(i);
  const only = (s) => { facets[1].chosen = new Set([sets[s][0]]); facets[2].chosen = new Set([sets[s][1]]); changed(); };
  const line = (s) => {
    const { problems: count, accuracy, greedy, tokens } = sums(groups[s]);
    return make("tr", {}, make("td", {}, sets[s][0]), make("td", {}, make("button", { className: "link", type: "button", onclick: () => only(s) }, sets[s][1])),
      make("td", {}, count.toLocaleString("en")), make("td", {}, groups[s].length.toLocaleString("en")),
      make("td", {}, make("span", { className: "share" }, make("span", { className: "bar", style: { width: `${100 * (accuracy ?? 0)}%` } })), percent(accuracy)),
      make("td", {}, percent(greedy)), make("td", {}, tokens === null ? "–" : tokens.toFixed(1)));
  };
  const table = make("table", { className: "sums" }, make("thead", {}, make("tr", {}, ...["Run", "When", "Problems", "Completions", "Accuracy", "Greedy", "Tokens"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...sets.map((_, s) => s).filter((s) => groups[s].length).map(line)));
  $("detail").replaceChildren(make("div", { className: "wide" },
    make("div", { className: "top" }, make("h2", {}, shown.length < size ? "What is shown" : "All completions"), make("small", {}, "accuracy: mean over problems of the mean over samples"),
      make("span", { className: "steps" }, make("button", { className: "narrow", type: "button", onclick: back }, "‹ list"))),
    make("section", { className: "panel scroll" }, table), sets.length > 1 ? against() : null,
    ...data.notes.map((text) => make("p", { className: "note soft" }, text)), make("p", { className: "note soft" }, `Written ${data.made} by nsrl view.`)));
}

// -- one point against another ------------------------------------------------------------------------------------

function problemsOf(s) { return new Set(byProblem.flatMap((records, p) => (records.some((i) => data.set[i] === s) ? [p] : []))); }

function likelyPair() { // the ends of two runs that answered the same problems, else what stands first and last of one
  const measured = sets.map((_, s) => s).filter((s) => sets[s][1] !== "training");
  const arms = [...new Set(measured.map((s) => sets[s][0]))].map((arm) => measured.filter((s) => sets[s][0] === arm));
  const ends = arms.map((points) => points.find((s) => sets[s][1] === "after") ?? points.at(-1));
  const first = ends.length > 1 ? problemsOf(ends[0]) : new Set();
  const other = ends.slice(1).find((s) => [...problemsOf(s)].some((p) => first.has(p)));
  if (other !== undefined) return [ends[0], other];
  const within = arms.find((points) => points.length > 1);
  return within ? [within[0], ends[arms.indexOf(within)]] : [0, Math.min(1, sets.length - 1)];
}

let compared = null; // the last comparison: it depends on the two points alone
function comparison() {
  const wanted = [state.a, state.b, state.by].join();
  if (compared?.wanted === wanted) return compared;
  const can = { samples: new Map(), greedy: new Map() }, seen = [new Set(), new Set()]; // problem: right, scored of each
  for (let i = 0; i < size; i++) {
    const side = data.set[i] === state.a ? 0 : data.set[i] === state.b ? 1 : -1, p = data.problem[i], c = get("correct", i);
    if (side < 0) continue;
    seen[side].add(p);
    if (c === null) continue;
    const scores = can[isGreedy(i) ? "greedy" : "samples"];
    if (!scores.has(p)) scores.set(p, [0, 0, 0, 0]);
    scores.get(p)[2 * side] += c;
    scores.get(p)[2 * side + 1]++;
  }
  const both = (name) => [...can[name]].filter(([, [, n, , m]]) => n && m);
  const choices = Object.keys(can).filter((name) => both(name).length);
  const by = choices.includes(state.by) ? state.by : choices[0] ?? "samples", shared = both(by);
  const outcomeOf = byProblem.map(() => ""), means = [0, 0];
  for (const [p, [right, n, later, m]] of shared) {
    outcomeOf[p] = right / n >= 0.5 ? (later / m >= 0.5 ? "kept" : "lost") : later / m >= 0.5 ? "gained" : "missed";
    means[0] += right / n / shared.length;
    means[1] += later / m / shared.length;
  }
  const alone = seen.map((mine, side) => [...mine].filter((p) => !seen[1 - side].has(p)).length);
  compared = { wanted, by, outcomeOf, shared: shared.length, change: means, choices, alone };
  return compared;
}

function against() {
  const found = comparison();
  const choose = (key, name) => make("select", { "aria-label": name, onchange: (event) => { state[key] = Number(event.target.value); state.compared = true; changed(); } },
    ...sets.map((names, s) => make("option", { value: s, selected: s === state[key] }, names.join(" · "))));
  const by = found.choices.length > 1 ? make("select", { "aria-label": "judged by", onchange: (event) => { state.by = event.target.value; changed(); } },
    ...found.choices.map((name) => make("option", { value: name, selected: name === found.by }, name === "greedy" ? "by the greedy answer" : "by half of the samples"))) : null;
  const count = (name) => found.outcomeOf.filter((outcome) => outcome === name).length;
  const box = Object.entries(OUTCOMES).map(([name, text]) => make("button", { type: "button", className: `outcome ${name}`, "aria-pressed": state.outcome === name,
    onclick: () => { state.outcome = state.outcome === name ? "" : name; changed(); } }, make("b", {}, count(name).toLocaleString("en")), text));
  const [from, to] = found.change, [left, right] = found.alone;
  const said = found.shared
    ? `${found.shared.toLocaleString("en")} problems in both: ${percent(from)} → ${percent(to)} (${to >= from ? "+" : "−"}${Math.abs(100 * (to - from)).toFixed(1)} points)${left || right ? `; ${left.toLocaleString("en")} only in the first, ${right.toLocaleString("en")} only in the second` : ""}.`
    : "No problem was answered at both points.";
  return panel("One against the other", make("div", { className: "compare" }, choose("a", "first point"), "→", choose("b", "second point"), by),
    make("div", { className: "outcomes" }, ...box), make("p", { className: "note soft" }, said));
}
