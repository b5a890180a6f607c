// The page of `nsrl attend`: a token under the pointer, or chosen, shows its attention over the pictures.

const $ = (id) => document.getElementById(id);
async function unpack(id) {
  const bytes = Uint8Array.from(atob($(id).textContent.trim()), (sign) => sign.charCodeAt(0));
  $(id).remove();
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
const data = JSON.parse(new TextDecoder().decode(await unpack("data")));
const weights = new Uint16Array(await unpack("weights"));
const [layers, count, cells] = data.shape;
const state = { layer: data.layer, tokens: data.chosen, pinned: data.chosen };

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Attention of some tokens on every cell: mean over them, and over layers where none is chosen.
function map() {
  const out = new Float64Array(cells), chosen = state.layer === null ? [...Array(layers).keys()] : [state.layer];
  for (const layer of chosen) for (const token of state.tokens) {
    const from = (layer * count + token) * cells, scale = data.top[layer][token] / 65535 / chosen.length / state.tokens.length;
    for (let cell = 0; cell < cells; cell++) out[cell] += weights[from + cell] * scale;
  }
  return out;
}

const STOPS = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]]; // magma
function colour(share) {
  const at = Math.min(3.999, Math.max(0, share) * 4), low = Math.floor(at), mix = at - low;
  return `rgb(${STOPS[low].map((v, i) => Math.round(v + mix * (STOPS[low + 1][i] - v))).join(" ")} / 0.68)`;
}

const canvases = await Promise.all(data.pictures.map(async (picture, number) => {
  const image = new Image();
  image.src = picture.url;
  await image.decode();
  const zoom = Math.max(1, Math.min(Math.round(480 / image.width), 8));
  const canvas = make("canvas", { width: image.width * zoom, height: image.height * zoom, role: "img", "aria-label": `picture ${number + 1} with attention over it` });
  $("pictures").append(canvas);
  return { canvas, image, cells: picture.cells };
}));

function draw() {
  const values = map(), peak = Math.max(1e-9, ...values);
  let at = 0;
  for (const { canvas, image, cells: boxes } of canvases) {
    const pen = canvas.getContext("2d"), { width, height } = canvas;
    pen.imageSmoothingEnabled = image.width * 2 > width;
    pen.filter = "grayscale(1)";
    pen.drawImage(image, 0, 0, width, height);
    pen.filter = "none";
    for (const [left, top, right, bottom] of boxes) {
      const [x, y, to, down] = [left * width, top * height, right * width, bottom * height].map(Math.round);
      pen.fillStyle = colour(values[at++] / peak);
      pen.fillRect(x, y, to - x, down - y);
    }
  }
  $("peak").textContent = peak.toPrecision(2);
  $("drawn").textContent = `${state.tokens.length === 1 ? "one token" : `mean over ${state.tokens.length} tokens`}, ${state.layer === null ? "mean over layers" : `layer ${state.layer}`}${data.which ? `, ${data.which}` : ", mean over heads"}`;
  const on = (token) => (state.layer === null ? data.on.reduce((sum, layer) => sum + layer[token], 0) / layers : data.on[state.layer][token]);
  const most = Math.max(...data.tokens.map((_, token) => on(token)), 1e-9);
  [...$("tokens").children].forEach((button, token) => {
    button.style.setProperty("--mass", (0.75 * on(token)) / most);
    button.setAttribute("aria-pressed", state.tokens.includes(token) && state.tokens.length < count);
    button.title = `${data.parts[token]}: ${on(token).toFixed(3)} of its attention is on the pictures`;
  });
  [...$("layers").querySelectorAll("tr[data-layer]")].forEach((row) => row.setAttribute("aria-selected", row.dataset.layer === String(state.layer)));
  $("layer").value = String(state.layer);
}

const show = (tokens, pin) => { state.tokens = tokens; if (pin) state.pinned = tokens; draw(); };
$("question").textContent = data.question;
data.tokens.forEach((text, token) => {
  const button = make("button", { type: "button", onclick: () => show([token], true), onpointerenter: () => show([token]), onpointerleave: () => show(state.pinned), onfocus: () => show([token]) }, text.replaceAll("\n", "⏎\n") || "·");
  button.style.setProperty("--part", data.colours[data.parts[token]]);
  $("tokens").append(button);
});
const select = make("select", { id: "layer", "aria-label": "layer", onchange: (event) => { state.layer = event.target.value === "null" ? null : Number(event.target.value); draw(); } },
  make("option", { value: "null" }, "mean over layers"), ...(layers > 1 ? [...Array(layers).keys()].map((layer) => make("option", { value: layer }, `layer ${layer}`)) : []));
$("controls").append(select, ...["all", ...Object.keys(data.mass)].map((part) => make("button", { type: "button", onclick: () => show(data.parts.flatMap((of, token) => (part === "all" || of === part ? [token] : [])), true) },
  ...(part === "all" ? [] : [swatch(part)]), part)));
function swatch(part) {
  const box = make("span", { class: "swatch" });
  box.style.background = data.colours[part];
  return box;
}
const parts = Object.keys(data.mass), mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
const line = (name, cell, layer) => make("tr", layer === undefined ? {} : { "data-layer": String(layer), onclick: () => { state.layer = layer; draw(); } }, make("td", {}, name), ...parts.map((part) => make("td", {}, cell(part))));
$("layers").append(make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "layer"), ...parts.map((part) => make("th", { scope: "col" }, swatch(part), part)))),
  make("tbody", {}, ...data.mass[parts[0]].map((_, layer) => line(String(layer), (part) => data.mass[part][layer].toFixed(3), data.left_out ? undefined : layer)),
    line("mean", (part) => mean(data.mass[part]).toFixed(3), null), line("if all were alike", (part) => data.even[part].toFixed(3))));
draw();
document.documentElement.dataset.ready = performance.now().toFixed(0);
