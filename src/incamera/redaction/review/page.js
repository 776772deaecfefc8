"use strict";
// One page, no network: the data stands in the page, changes live in this browser until saved.
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const films = data.films;
const names = { face: "Face", plate: "Plate" };

// --- what the person changed, kept in this browser ---

const storeName = `incamera-review ${fingerprint()}`;
const state = restore(); // flipped: ids of tiles; drawn: [{film, kind, from, to, keys: {frame: box}}]

function fingerprint() {
  const said = JSON.stringify([
    data.settings, films.map((film) => film.digest),
    data.covered.map((each) => each.boxes), data.missed.map((each) => each.boxes),
  ]);
  let sum = 0x811c9dc5; // FNV-1a: tells pages apart, protects nothing
  for (let i = 0; i < said.length; i += 1) {
    sum = Math.imul(sum ^ said.charCodeAt(i), 0x01000193) >>> 0;
  }
  return sum.toString(16);
}

function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(storeName));
    if (kept) return { flipped: new Set(kept.flipped), drawn: kept.drawn };
  } catch { /* no storage, or not ours: begin anew */ }
  return { flipped: new Set(), drawn: [] };
}

function changed() {
  try {
    const kept = { flipped: [...state.flipped], drawn: state.drawn };
    localStorage.setItem(storeName, JSON.stringify(kept));
  } catch { /* a browser without storage: what is not saved goes with the page */ }
  count();
}

// --- small makers ---

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function place(element, left, top, width, height) {
  element.style.left = `${100 * left}%`;
  element.style.top = `${100 * top}%`;
  element.style.width = `${100 * width}%`;
  element.style.height = `${100 * height}%`;
}

function clock(film, frame) {
  const seconds = films[film].step * frame;
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(1).padStart(4, "0")}`;
}

function when(film, first, last) {
  const name = films[film].name.split("/").at(-1); // the whole path is in the title
  if (films[film].frames === 1) return name;
  const run = last === undefined ? 0 : last - first + 1;
  const length = run ? `${run} ${run === 1 ? "frame" : "frames"}` : `frame ${first}`;
  return `${clock(film, first)} · ${length} · ${name}`;
}

// --- sections 1 and 2: tiles ---

const sorts = {
  covered: { list: data.covered, off: "stays hidden", on: "will be shown" },
  missed: { list: data.missed, off: "stays visible", on: "will be hidden" },
};

function tile(sort, number) {
  const question = sorts[sort].list[number];
  const button = make("button", "tile");
  button.type = "button";
  button.id = `${sort}-${number}`;
  button.dataset.kind = question.kind;
  const views = make("span", "views");
  const order = [question.clearest, ...question.views.keys()];
  for (const index of new Set(order)) views.append(view(question.views[index]));
  const about = make("span", "about");
  const what = make("b", "", `${names[question.kind]}? ${question.score.toFixed(2)}`);
  const [first, last] = [question.boxes[0][0], question.boxes.at(-1)[0]];
  const where = make("span", "where", when(question.film, first, last));
  where.title = films[question.film].name;
  about.append(what, make("span", "state"), where);
  button.append(views, about);
  button.addEventListener("click", () => flip(button));
  show(button);
  return button;
}

function view(said) {
  const span = make("span", "view");
  const image = make("img");
  image.src = said.image;
  image.alt = "";
  image.decoding = "async";
  const mark = make("span", "mark");
  place(mark, ...said.box);
  span.append(image, mark);
  return span;
}

function show(button) {
  const pressed = state.flipped.has(button.id);
  const sort = sorts[button.id.split("-")[0]];
  button.setAttribute("aria-pressed", String(pressed));
  button.querySelector(".state").textContent = pressed ? sort.on : sort.off;
}

function flip(button) {
  if (!state.flipped.delete(button.id)) state.flipped.add(button.id);
  show(button);
  changed();
}

function fill(sort) {
  const grid = document.querySelector(`#${sort} .grid`);
  grid.append(...sorts[sort].list.map((_, number) => tile(sort, number)));
  const left = data.left_out[sort === "covered" ? 0 : 1];
  if (!sorts[sort].list.length) grid.replaceWith(make("p", "none", "None."));
  else if (left) grid.after(make("p", "lead", `${left} more were less doubtful than these.`));
}

// --- section 3: whole frames ---

function at(drawn, frame) {
  if (frame < drawn.from || frame > drawn.to) return null;
  const frames = Object.keys(drawn.keys).map(Number).sort((a, b) => a - b);
  const after = frames.find((each) => each >= frame);
  if (after === undefined) return drawn.keys[frames.at(-1)];
  const before = frames.findLast((each) => each <= frame);
  if (before === undefined || before === after) return drawn.keys[after];
  const share = (frame - before) / (after - before);
  return drawn.keys[before].map((value, i) => value + (drawn.keys[after][i] - value) * share);
}

// A box of a picture of width x height, once that is turned left by right angles.
function turned([x, y, w, h], turns, width, height) {
  if (turns === 0) return [x, y, w, h];
  return turned([y, width - x - w, h, w], turns - 1, height, width);
}

function upright(still) {
  const { width, height } = films[still.film];
  return still.turns % 2 ? [height, width] : [width, height];
}

function shares(still, box) {
  const film = films[still.film];
  const [width, height] = upright(still);
  const [x, y, w, h] = turned(box, still.turns, film.width, film.height);
  return [x / width, y / height, w / width, h / height];
}

function stored(still, left, top, right, bottom) {
  const [width, height] = upright(still);
  const box = [left * width, top * height, (right - left) * width, (bottom - top) * height];
  return turned(box, (4 - still.turns) % 4, width, height).map((value) => Math.round(value));
}

function still(number) {
  const said = data.stills[number];
  const button = make("button", "still");
  button.type = "button";
  button.id = `still-${number}`;
  const picture = make("span", "picture");
  const image = make("img");
  image.src = said.image;
  image.alt = "";
  image.decoding = "async";
  [image.width, image.height] = upright(said);
  picture.append(image);
  const where = make("span", "about where", when(said.film, said.frame));
  where.title = films[said.film].name;
  button.append(picture, where);
  button.addEventListener("click", () => edit(number));
  return button;
}

function drawBoxes() {
  data.stills.forEach((said, number) => {
    const picture = find(`still-${number}`).querySelector(".picture");
    picture.querySelectorAll(".box").forEach((box) => box.remove());
    for (const drawn of state.drawn) {
      const box = drawn.film === said.film && at(drawn, said.frame);
      if (box) {
        picture.append(make("span", "box"));
        place(picture.lastChild, ...shares(said, box));
      }
    }
  });
}

// --- the editor: one whole frame, large ---

const editor = find("editor");
const canvas = find("canvas");
let current = 0; // index of the still that is open
let picked = null; // the drawn box that the next drawing in another frame continues

function edit(number) {
  current = number;
  const said = data.stills[number];
  if (picked && picked.film !== said.film) picked = null;
  find("picture").src = said.image;
  find("editor-title").textContent = when(said.film, said.frame);
  find("before").disabled = number === 0;
  find("after").disabled = number === data.stills.length - 1;
  if (!editor.open) editor.showModal();
  fit();
  refresh();
}

function fit() {
  const [width, height] = upright(data.stills[current]);
  const body = document.querySelector(".editor-body").getBoundingClientRect();
  const beside = getComputedStyle(document.querySelector(".editor-body")).flexDirection === "row";
  const room = beside ? body.width - 300 : body.width;
  const scale = Math.min(room / width, (beside ? body.height : body.height * 0.62) / height);
  canvas.style.width = `${Math.floor(width * scale)}px`;
  canvas.style.height = `${Math.floor(height * scale)}px`;
}

function refresh() {
  const said = data.stills[current];
  canvas.querySelectorAll(".box").forEach((box) => box.remove());
  const here = state.drawn.filter((drawn) => drawn.film === said.film);
  for (const drawn of here) {
    const box = at(drawn, said.frame);
    if (box) canvas.append(boxElement(said, drawn, box));
  }
  find("drawn").replaceChildren(...here.map(row));
  const video = films[said.film].frames > 1;
  const follows = picked && !(said.frame in picked.keys);
  if (follows) find("hint").textContent = "Draw the same one here, and it is followed in between.";
  else if (video) find("hint").textContent = "Drag on the picture. To follow what moves, draw it in another frame too.";
  else find("hint").textContent = "Drag on the picture.";
}

function boxElement(said, drawn, box) {
  const element = make("span", drawn === picked ? "box picked" : "box");
  element.tabIndex = 0;
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", `${names[drawn.kind]}: arrows move it, with shift they size it, delete removes it`);
  place(element, ...shares(said, box));
  element.addEventListener("focus", () => pick(drawn));
  element.addEventListener("keydown", (event) => nudge(event, said, drawn));
  return element;
}

function pick(drawn) {
  if (picked === drawn) return;
  picked = drawn;
  refresh();
  canvas.querySelector(".box.picked")?.focus();
}

function nudge(event, said, drawn) {
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key === "Delete" || event.key === "Backspace") remove(drawn);
  else if (event.key in ways) {
    const [left, top, width, height] = shares(said, at(drawn, said.frame));
    const [dx, dy] = ways[event.key].map((way) => way * 0.005);
    const box = event.shiftKey
      ? [left, top, left + Math.max(0.005, width + dx), top + Math.max(0.005, height + dy)]
      : [left + dx, top + dy, left + dx + width, top + dy + height];
    set(drawn, said, ...box.map((value) => Math.min(1, Math.max(0, value))));
    canvas.querySelector(".box.picked")?.focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

function span(said) { // from half-way to the frame before, to half-way to the one after
  const others = data.stills.filter((each) => each.film === said.film).map((each) => each.frame);
  const before = others.filter((frame) => frame < said.frame).at(-1);
  const after = others.find((frame) => frame > said.frame);
  return [
    before === undefined ? 0 : Math.ceil((before + said.frame) / 2),
    after === undefined ? films[said.film].frames - 1 : Math.floor((after + said.frame) / 2),
  ];
}

function set(drawn, said, left, top, right, bottom) {
  const box = stored(said, left, top, right, bottom);
  if (box[2] < 1 || box[3] < 1) return;
  const [from, to] = span(said);
  const fresh = !(said.frame in drawn.keys);
  drawn.keys[said.frame] = box;
  drawn.from = fresh ? Math.min(drawn.from, from) : drawn.from;
  drawn.to = fresh ? Math.max(drawn.to, to) : drawn.to;
  update();
}

function put(left, top, right, bottom) {
  const said = data.stills[current];
  if (!picked || said.frame in picked.keys) {
    const kind = document.querySelector("input[name=draw]:checked").value;
    picked = { film: said.film, kind, from: said.frame, to: said.frame, keys: {} };
    state.drawn.push(picked);
  }
  set(picked, said, left, top, right, bottom);
}

function remove(drawn) {
  state.drawn.splice(state.drawn.indexOf(drawn), 1);
  if (picked === drawn) picked = null;
  update();
}

function update() {
  changed();
  refresh();
  drawBoxes();
}

function row(drawn) {
  const item = make("li", drawn === picked ? "picked" : "");
  const top = make("div", "row");
  const keys = Object.keys(drawn.keys).length;
  const video = films[drawn.film].frames > 1;
  const drew = video ? `, drawn ${keys === 1 ? "once" : `${keys} times`}` : "";
  const gone = make("button", "", "Remove");
  gone.type = "button";
  gone.addEventListener("click", () => remove(drawn));
  top.append(make("b", "", `${names[drawn.kind]}${drew}`), gone);
  item.append(top);
  if (video) item.append(range(drawn));
  item.addEventListener("click", (event) => {
    if (event.target.closest("button, input") || picked === drawn) return;
    picked = drawn;
    refresh();
  });
  return item;
}

function range(drawn) {
  const line = make("div", "row");
  const frames = Object.keys(drawn.keys).map(Number);
  const limits = {
    from: [0, Math.min(...frames)],
    to: [Math.max(...frames), films[drawn.film].frames - 1],
  };
  for (const end of ["from", "to"]) {
    const input = make("input");
    input.type = "number";
    [input.min, input.max] = limits[end];
    input.value = drawn[end];
    input.setAttribute("aria-label", end === "from" ? "from frame" : "to frame");
    input.addEventListener("change", () => {
      const wish = Math.round(Number(input.value));
      drawn[end] = Math.min(Math.max(wish, limits[end][0]), limits[end][1]);
      update();
    });
    line.append(end === "from" ? "frames" : "to", input);
  }
  return line;
}

let start = null; // where a drag began, as shares of the picture
const band = make("span", "band");

function point(event) {
  const area = canvas.getBoundingClientRect();
  return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height]
    .map((value) => Math.min(1, Math.max(0, value)));
}

function corners(event) {
  const [x, y] = point(event);
  return [Math.min(x, start[0]), Math.min(y, start[1]), Math.max(x, start[0]), Math.max(y, start[1])];
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  event.preventDefault();
  start = point(event);
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (!start) return;
  const [left, top, right, bottom] = corners(event);
  place(band, left, top, right - left, bottom - top);
  canvas.append(band);
});
canvas.addEventListener("pointerup", (event) => {
  if (!start) return;
  const [left, top, right, bottom] = corners(event);
  const area = canvas.getBoundingClientRect();
  band.remove();
  start = null;
  if ((right - left) * area.width >= 4 && (bottom - top) * area.height >= 4) {
    put(left, top, right, bottom);
    return;
  }
  const hit = document.elementsFromPoint(event.clientX, event.clientY)
    .find((each) => each.classList.contains("box"));
  if (hit) hit.focus();
});
canvas.addEventListener("pointercancel", () => {
  band.remove();
  start = null;
});

// --- saving ---

function corrections() {
  const named = ([frame, x, y, w, h]) => ({ frame: Number(frame), x, y, w, h });
  const mark = (question) => ({
    source: films[question.film].name, kind: question.kind, boxes: question.boxes.map(named),
  });
  const chosen = (sort) => sorts[sort].list
    .filter((_, number) => state.flipped.has(`${sort}-${number}`)).map(mark);
  const drawn = state.drawn.map((each) => {
    const frames = new Set([each.from, ...Object.keys(each.keys).map(Number), each.to]);
    const boxes = [...frames].sort((a, b) => a - b).map((frame) => [frame, ...at(each, frame)]);
    return mark({ film: each.film, kind: each.kind, boxes });
  });
  return {
    version: data.version,
    settings: data.settings,
    sources: Object.fromEntries(films.map((film) => [film.name, film.digest])),
    remove: chosen("covered"),
    add: [...chosen("missed"), ...drawn],
  };
}

function save() {
  const said = corrections();
  const text = `${JSON.stringify(said, null, 1)}\n`;
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "corrections.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  find("saved-what").textContent = `corrections.json is among your downloads: ${said.remove.length} to show, ${said.add.length} to hide.`;
  find("saved").showModal();
}

// --- counter, filter, keys ---

function count() {
  const shown = [...state.flipped].filter((id) => id.startsWith("covered")).length;
  const hidden = state.flipped.size - shown;
  const total = data.covered.length + data.missed.length;
  const parts = [["to show", shown], ["to hide", hidden], ["drawn", state.drawn.length]];
  const told = parts.filter(([, number]) => number).map(([what, number]) => `${number} ${what}`);
  const place = cursor();
  find("counter").textContent = `${place ? `${place} of ` : ""}${total} doubtful, `
    + `${data.stills.length} whole frames · ${told.join(", ") || "no changes yet"}`;
}

function cursor() {
  const id = document.activeElement?.id ?? "";
  const [sort, number] = id.split("-");
  if (!(sort in sorts)) return 0;
  return Number(number) + 1 + (sort === "missed" ? data.covered.length : 0);
}

function stops() { // everything j and k stop at
  return [...document.querySelectorAll(".tile, .still")].filter((each) => !each.hidden);
}

function go(steps, rows) {
  const all = stops();
  const here = all.indexOf(document.activeElement);
  let next = here < 0 ? 0 : here + steps;
  if (rows && here >= 0) next = below(all, here, rows);
  const goal = all[Math.min(Math.max(next, 0), all.length - 1)];
  goal?.focus({ preventScroll: true });
  goal?.scrollIntoView({ block: "nearest" });
}

function below(all, here, rows) { // the stop nearest under (or above) this one
  const from = all[here].getBoundingClientRect();
  const ahead = rows > 0 ? all.slice(here + 1) : all.slice(0, here).reverse();
  const line = ahead.find((each) => Math.abs(each.getBoundingClientRect().top - from.top) > 8);
  if (!line) return here;
  const top = line.getBoundingClientRect().top;
  const off = (each) => Math.abs(each.getBoundingClientRect().left - from.left);
  const row = ahead.filter((each) => Math.abs(each.getBoundingClientRect().top - top) < 8);
  return all.indexOf(row.reduce((best, each) => (off(each) < off(best) ? each : best)));
}

function filter(kind) {
  document.querySelector(`input[name=kind][value=${kind}]`).checked = true;
  for (const each of document.querySelectorAll(".tile")) {
    each.hidden = kind !== "all" && each.dataset.kind !== kind;
  }
}

function section(number) {
  const id = ["covered", "missed", "stills"][number - 1];
  const first = [...document.querySelectorAll(`#${id} .tile, #${id} .still`)].find((e) => !e.hidden);
  find(id).scrollIntoView();
  first?.focus({ preventScroll: true });
}

const keys = {
  j: () => go(1), k: () => go(-1), ArrowRight: () => go(1), ArrowLeft: () => go(-1),
  ArrowDown: () => go(1, 1), ArrowUp: () => go(-1, -1),
  a: () => filter("all"), f: () => filter("face"), p: () => filter("plate"), s: save,
  1: () => section(1), 2: () => section(2), 3: () => section(3),
};
const editorKeys = {
  j: () => step(1), k: () => step(-1), ArrowRight: () => step(1), ArrowLeft: () => step(-1),
  f: () => { document.querySelector("input[name=draw][value=face]").checked = true; },
  p: () => { document.querySelector("input[name=draw][value=plate]").checked = true; },
};

function step(by) {
  const number = current + by;
  if (number >= 0 && number < data.stills.length) edit(number);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, pre")) return;
  if (find("saved").open) return;
  const act = (editor.open ? editorKeys : keys)[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
document.addEventListener("focusin", count);
for (const input of document.querySelectorAll("input[name=kind]")) {
  input.addEventListener("change", () => filter(input.value));
}
window.addEventListener("resize", () => { if (editor.open) fit(); });
editor.addEventListener("close", () => {
  picked = null;
  find(`still-${current}`)?.focus();
});
find("save").addEventListener("click", save);
find("close").addEventListener("click", () => find("saved").close());
find("done").addEventListener("click", () => editor.close());
find("before").addEventListener("click", () => step(-1));
find("after").addEventListener("click", () => step(1));
find("place").addEventListener("click", () => {
  put(0.45, 0.45, 0.55, 0.55);
  canvas.querySelector(".box.picked")?.focus();
});
find("command").textContent = data.command;

fill("covered");
fill("missed");
const grid = document.querySelector("#stills .grid");
grid.append(...data.stills.map((_, number) => still(number)));
if (!data.stills.length) grid.replaceWith(make("p", "none", "None."));
drawBoxes();
count();
