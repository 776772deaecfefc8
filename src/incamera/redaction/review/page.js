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
