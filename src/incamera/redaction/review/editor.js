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
