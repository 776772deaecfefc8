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
