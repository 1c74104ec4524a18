"use strict";
// What is seen: the drawing, the pictures, the table of answers.

const NAMES = { float: "float", pruned: "pruned", int8: "int8", small: "entropy-coded" };
const find = (id) => document.getElementById(id);
const told = JSON.parse(find("told").textContent);
const [HEIGHT, WIDTH] = told.size;
const classes = told.classes;
const view = { pixels: new Uint8Array(HEIGHT * WIDTH), pen: { x: WIDTH / 2, y: HEIGHT / 2, down: false }, cells: {} };

function number(n) {
  return n.toLocaleString("en-US");
}

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// may go on in the next line after a stroke
function breakable(text) {
  return text.replaceAll("/", "/\u200b");
}

function largestAt(values) {
  return values.indexOf(Math.max(...values));
}

// pixels 0 to 255 as the numbers that the network was trained on
function imageOf(pixels) {
  return Float32Array.from(pixels, (p) => view.levels[p]);
}

// the picture

function colours() {
  const style = getComputedStyle(document.documentElement);
  const parts = (name) => style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map((two) => parseInt(two, 16));
  return [parts("--paper"), parts("--ink")];
}

function paint(canvas, pixels) {
  const [paper, ink] = colours();
  const high = canvas.height / HEIGHT;
  const wide = canvas.width / WIDTH;
  const context = canvas.getContext("2d");
  for (let i = 0; i < pixels.length; i++) {
    const mixed = paper.map((c, k) => Math.round(c + ((ink[k] - c) * pixels[i]) / 255));
    context.fillStyle = `rgb(${mixed})`;
    context.fillRect((i % WIDTH) * wide, Math.floor(i / WIDTH) * high, wide, high);
  }
  return context;
}

function paintPad() {
  const pad = find("pad");
  const context = paint(pad, view.pixels);
  if (document.activeElement !== pad || !view.pen.keys) return;
  const size = pad.width / WIDTH;
  context.lineWidth = view.pen.down ? 4 : 2;
  context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--most");
  context.setLineDash(view.pen.down ? [] : [4, 3]);
  context.strokeRect((view.pen.x - 1) * size, (view.pen.y - 1) * size, 2 * size, 2 * size);
}

// ink or rubber around a point, in pixels; the edge of the pen is soft
function stamp(x, y) {
  const radius = Number(find("pen").value) / 2;
  const rubber = find("rubber").getAttribute("aria-pressed") === "true";
  const shade = rubber ? 0 : Math.round(25.5 * Number(find("shade").value));
  for (let i = 0; i < view.pixels.length; i++) {
    const away = Math.hypot((i % WIDTH) + 0.5 - x, Math.floor(i / WIDTH) + 0.5 - y);
    const part = Math.min(Math.max(radius + 0.5 - away, 0), 1);
    const goal = view.pixels[i] + (shade - view.pixels[i]) * part;
    view.pixels[i] = Math.round(rubber ? goal : Math.max(goal, view.pixels[i]));
  }
}

function strokeTo(x, y) {
  const { pen } = view;
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(x - pen.x, y - pen.y)));
  for (let i = 1; i <= steps; i++) stamp(pen.x + ((x - pen.x) * i) / steps, pen.y + ((y - pen.y) * i) / steps);
  Object.assign(pen, { x, y });
  drawn();
}

function drawn() {
  choose(-1);
  changed();
}

function place(event) {
  const box = find("pad").getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
}

function pointers() {
  const pad = find("pad");
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    pad.focus({ preventScroll: true });
    pad.setPointerCapture(event.pointerId);
    view.stroke = event.pointerId;
    const [x, y] = place(event);
    Object.assign(view.pen, { x, y, keys: false, down: false });
    strokeTo(x, y);
  });
  pad.addEventListener("pointermove", (event) => {
    if (event.pointerId !== view.stroke) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const one of passed.length ? passed : [event]) strokeTo(...place(one));
  });
  for (const end of ["pointerup", "pointercancel"])
    pad.addEventListener(end, (event) => {
      if (event.pointerId === view.stroke) view.stroke = null;
    });
}

function keys() {
  const pad = find("pad");
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  pad.addEventListener("keydown", (event) => {
    const { pen } = view;
    if (event.key in moves) {
      const [x, y] = moves[event.key];
      const to = [Math.min(Math.max(pen.x + x, 0), WIDTH), Math.min(Math.max(pen.y + y, 0), HEIGHT)];
      pen.keys = true;
      if (pen.down) strokeTo(...to);
      else [pen.x, pen.y] = to;
    } else if (event.key === " ") {
      Object.assign(pen, { keys: true, down: !pen.down });
      if (pen.down) strokeTo(pen.x, pen.y);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clearPad();
    } else {
      return;
    }
    event.preventDefault();
    paintPad();
  });
  for (const name of ["focus", "blur"]) pad.addEventListener(name, paintPad);
}

function clearPad() {
  view.pixels.fill(0);
  view.pen.down = false;
  drawn();
}

// the pictures to pick: one tab stop, the arrow keys go from one to the next

function pictureButton(pixels, i) {
  const name = told.labels ? `picture ${i + 1}: ${classes[told.labels[i]]}` : `picture ${i + 1}`;
  const button = element("button", "", { type: "button", role: "radio", "aria-label": name, title: name });
  button.append(element("canvas", "", { width: WIDTH, height: HEIGHT }));
  button.addEventListener("click", () => pick(i));
  button.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const n = view.pictures.length;
    pick((i + step + n) % n);
    find("pictures").children[(i + step + n) % n].focus();
  });
  return button;
}

function pick(i) {
  view.pixels.set(view.pictures[i]);
  view.pen.down = false;
  choose(i);
  changed();
}

function choose(i) {
  view.picked = i;
  [...find("pictures").children].forEach((button, k) => {
    button.setAttribute("aria-checked", String(k === i));
    button.tabIndex = k === Math.max(i, 0) ? 0 : -1;
  });
}

// the table

function makeTable() {
  const table = find("table");
  const row = (section, title, fill, kind = "") => {
    const tr = section.insertRow();
    if (kind) tr.className = kind;
    tr.append(element("th", breakable(title), { scope: "row" }));
    return Object.keys(NAMES).map((name) => fill(tr.appendChild(element("td")), name));
  };
  const head = table.createTHead().insertRow();
  head.append(element("td"));
  for (const name of Object.values(NAMES)) head.append(element("th", name, { scope: "col" }));
  const body = table.createTBody();
  const keep = (kind) => (cell, name) => ((view.cells[`${kind} ${name}`] = cell));
  row(body, "answer", keep("answer"), "answer");
  classes.forEach((title, i) => row(body, title, (cell, name) => {
    cell.append(element("span", "", { class: "value" }), element("span", "", { class: "bar", "aria-hidden": "true" }));
    view.cells[`${i} ${name}`] = cell;
  }));
  row(body, "bytes", keep("bytes"), "first");
  row(body, "ms a picture", keep("ms"));
  row(body, `as float, of ${view.pictures.length} pictures`, keep("agree"));
  if (told.labels) row(body, `right, of ${view.pictures.length}`, keep("right"));
}

function showAnswers() {
  const image = imageOf(view.pixels);
  const said = {};
  for (const name of Object.keys(NAMES)) {
    const odds = softmax(view.page.run[name](image));
    said[name] = largestAt(odds);
    odds.forEach((p, i) => {
      const cell = view.cells[`${i} ${name}`];
      cell.firstChild.textContent = p.toFixed(3);
      cell.lastChild.style.setProperty("--p", p);
      cell.className = i === said[name] ? "most" : "";
    });
    const answer = view.cells[`answer ${name}`];
    const differs = said[name] !== said.float;
    answer.replaceChildren(breakable(classes[said[name]]));
    if (differs) answer.append(element("small", "≠ float"));
    answer.className = differs ? "other" : "";
  }
  showVerdict(said);
}

function showVerdict(said) {
  const others = Object.keys(NAMES).filter((name) => said[name] !== said.float);
  const float = classes[said.float];
  const truth = told.labels && view.picked >= 0 ? ` The label is ${classes[told.labels[view.picked]]}.` : "";
  const list = others.map((name) => `${NAMES[name]} says ${classes[said[name]]}`).join(", ");
  find("verdict").textContent = (others.length ? `float says ${float}, ${list}.` : `All four say ${float}.`) + truth;
}

function showBytes() {
  const { bytes } = told.networks[0];
  const { whole, cut } = { whole: view.page.whole, cut: view.page.cut };
  const places = whole.network.steps.filter((step) => step.op in PRODUCTS).map((step) => step.weight);
  const total = places.reduce((n, i) => n + whole.weights[i].length, 0);
  const kept = places.reduce((n, i) => n + cut[i].reduce((k, v) => k + (v !== 0), 0), 0);
  const held = { float: bytes.float, int8: bytes.int8, small: told.networks.at(-1).bytes.file };
  held.pruned = Math.min(held.float, held.float - 4 * (total - kept) + Math.ceil(total / 8));
  for (const name of Object.keys(NAMES)) {
    const cell = view.cells[`bytes ${name}`];
    const times = name === "float" ? "" : `${(held.float / held[name]).toFixed(1)}× smaller`;
    cell.replaceChildren(number(held[name]), element("small", times));
  }
  const sparsity = Number(find("sparsity").value).toFixed(2);
  find("kept").textContent = `${sparsity}: ${number(kept)} of ${number(total)} weights stay, and nothing is trained after that`;
}

// milliseconds of one picture: the mean of as many runs as a moment allows
function showTimes() {
  const image = imageOf(view.pixels);
  for (const name of Object.keys(NAMES)) {
    const start = performance.now();
    let runs = 0;
    do view.page.run[name](image);
    while (++runs < 40 && performance.now() - start < 12);
    view.cells[`ms ${name}`].textContent = ((performance.now() - start) / runs).toFixed(2);
  }
}

// how many of the pictures each network takes for what float does, and how many are right; some at a time
function countOn(name, done = () => {}) {
  const token = (view.counting = { ...view.counting, [name]: {} })[name];
  const said = [];
  const go = () => {
    if (view.counting[name] !== token) return;
    const end = performance.now() + 12;
    while (said.length < view.images.length && performance.now() < end)
      said.push(largestAt(view.page.run[name](view.images[said.length])));
    if (said.length < view.images.length) return void setTimeout(go);
    if (name === "float") view.said = said;
    const count = (goal) => said.filter((c, i) => c === goal[i]).length;
    view.cells[`agree ${name}`].textContent = count(view.said);
    if (told.labels) view.cells[`right ${name}`].textContent = count(told.labels);
    done();
  };
  go();
}

function later(name, wait, act) {
  clearTimeout(view[name]);
  view[name] = setTimeout(act, wait);
}

function changed() {
  if (!view.page) return;
  view.frame ??= requestAnimationFrame(() => {
    view.frame = null;
    paintPad();
    showAnswers();
  });
  later("timing", 400, showTimes);
}

function prune() {
  view.page.prune(Number(find("sparsity").value));
  showBytes();
  changed();
  later("recount", 100, () => countOn("pruned"));
}

function repaint() {
  paintPad();
  view.pictures.forEach((pixels, i) => paint(find("pictures").children[i].firstChild, pixels));
}

function start() {
  const part = (id) => bytesOf(find(id).textContent);
  view.levels = new Float32Array(part("levels").buffer);
  const pictures = readSymbols(new Reader(part("images")), told.images * HEIGHT * WIDTH, 256);
  view.pictures = Array.from({ length: told.images }, (_, i) => pictures.subarray(i * HEIGHT * WIDTH, (i + 1) * HEIGHT * WIDTH));
  view.images = view.pictures.map(imageOf);
  view.page = openPage(told, told.networks.map((_, i) => part(`network-${i}`)));
  find("pictures").append(...view.pictures.map(pictureButton));
  find("sparsity").value = told.sparsity;
  find("decoded").textContent = view.page.small.ms.toFixed(0);
  makeTable();
  pointers();
  keys();
  find("clear").addEventListener("click", clearPad);
  find("rubber").addEventListener("click", (event) => {
    const button = event.currentTarget;
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  });
  find("sparsity").addEventListener("input", prune);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  repaint();
  showBytes();
  pick(0);
  countOn("float", () => ["pruned", "int8", "small"].forEach((name) => countOn(name)));
}

// after the first look at the page
setTimeout(() => {
  try {
    start();
  } catch (error) {
    if (!(error instanceof CorruptFile)) throw error;
    find("trouble").textContent = `This page can't be used: ${error.message}.`;
    find("trouble").hidden = false;
    document.querySelector("main").hidden = true;
  }
});
