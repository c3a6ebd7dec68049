"use strict";

const data = JSON.parse(document.getElementById("page-data").textContent);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const colours = ["1", "2", "3", "4", "5", "6", "7", "8"].map((one) => `var(--series-${one})`);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Charts. Vega interprets its expressions instead of compiling them, which the policy forbids.
const views = {};
const errorsOnly = 1; // it warns of charts without a line, which a person may choose

async function draw(place, spec, datasets = {}) {
  const filled = { ...spec, datasets: { ...spec.datasets, ...datasets } };
  const result = await vegaEmbed(place, filled, {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, logLevel: errorsOnly,
  });
  return result.view;
}

async function drawAtFirst() {
  for (const place of all("[data-number]")) {
    await draw(place, data.charts[place.dataset.chart][place.dataset.number]);
  }
  for (const measure of ["error", "loss"]) {
    const place = document.querySelector(`[data-chart=${measure}]`);
    views[measure] = await draw(place, data.charts[measure], { curves: curveRows(measure) });
  }
}

// Sorting. An empty cell comes last in either order; a recipe's runs stay below it.
function sortTable(table, column, order) {
  const valueOf = (body) => body.rows[0].cells[column].dataset.value;
  const sign = order === "ascending" ? 1 : -1;
  const bodies = [...table.tBodies].map((body) => [valueOf(body), body]);
  bodies.sort(([one], [other]) => {
    if (one === undefined || other === undefined) {
      return (one === undefined) - (other === undefined);
    }
    return sign * (column ? Number(one) - Number(other) : one.localeCompare(other));
  });
  table.append(...bodies.map(([, body]) => body));
}

for (const button of all(".recipes thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement;
    const opposite = { ascending: "descending", descending: "ascending" };
    const order = opposite[head.getAttribute("aria-sort")] || button.dataset.first;
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    sortTable(head.closest("table"), head.cellIndex, order);
  });
}

// Runs below their recipe: shown on request, and where only they fit the filter.
function showRuns(body, fitting = null) {
  const open = body.querySelector(".toggle").getAttribute("aria-expanded") === "true";
  for (const row of all("tr.run", body)) {
    row.hidden = fitting ? !fitting.includes(row) : !open;
  }
}

for (const toggle of all(".toggle")) {
  toggle.addEventListener("click", () => {
    const open = toggle.getAttribute("aria-expanded") === "true";
    toggle.setAttribute("aria-expanded", String(!open));
    showRuns(toggle.closest("tbody"));
  });
}

// The filter: all words must occur.
const filter = document.getElementById("filter");

function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (...texts) => words.every((word) => texts.join(" ").toLowerCase().includes(word));
  let found = 0;
  for (const body of all(".recipes tbody")) {
    const recipe = `${body.rows[0].textContent} ${body.dataset.more}`;
    const runs = all("tr.run", body).filter((row) => fits(recipe, row.textContent));
    const whole = fits(recipe);
    body.hidden = !whole && !runs.length;
    found += !body.hidden;
    showRuns(body, whole ? null : runs);
  }
  for (const run of all("details.run")) {
    const row = document.querySelector(`.pick-run[value="${CSS.escape(run.dataset.run)}"]`);
    const body = row && row.closest("tbody");
    run.hidden = !fits(run.querySelector("summary").textContent,
      body ? body.rows[0].textContent + body.dataset.more : "");
  }
  const count = all(".recipes tbody").length;
  document.getElementById("found").textContent =
    words.length ? `${found} of ${count} recipe${count === 1 ? "" : "s"}` : "";
}

if (filter) filter.addEventListener("input", applyFilter);

// The selection: a recipe's checkbox stands for all of its runs.
const selected = () => all(".pick-run:checked");
const offCurves = new Set();
let chosen = false; // by a person, not by the page

function updateSelection() {
  for (const body of all(".recipes tbody")) {
    const runs = all(".pick-run", body);
    const checked = runs.filter((run) => run.checked).length;
    const recipe = body.querySelector(".pick-recipe");
    recipe.checked = checked === runs.length;
    recipe.indeterminate = checked > 0 && checked < runs.length;
  }
  const bar = document.getElementById("selection");
  const count = selected().length;
  bar.hidden = !count || !chosen;
  bar.firstElementChild.textContent = `${count} run${count === 1 ? "" : "s"} selected`;
  updateDiff();
  updateLegend();
  updateCurves();
}

document.addEventListener("change", ({ target }) => {
  chosen ||= target.matches(".pick-recipe, .pick-run");
  if (target.matches(".pick-recipe")) {
    for (const run of all(".pick-run", target.closest("tbody"))) run.checked = target.checked;
  }
  if (target.matches(".pick-recipe, .pick-run")) updateSelection();
  if (target.matches("#all-settings")) updateDiff();
  if (target.matches(".rows")) updateCurves();
  if (target.matches(".curve-run")) {
    offCurves[target.checked ? "delete" : "add"](target.value);
    updateCurves();
  }
});

document.querySelector("#selection button").addEventListener("click", () => {
  for (const run of selected()) run.checked = false;
  updateSelection();
});

// The diff: one column for each recipe, or for each run where all are of one recipe.
function diffColumns() {
  const recipes = new Map();
  for (const run of selected()) {
    const { recipe, name } = run.dataset;
    if (!recipes.has(recipe)) recipes.set(recipe, { name, runs: [] });
    recipes.get(recipe).runs.push(run.value);
  }
  if (recipes.size > 1) return [...recipes.values()];
  return selected().map((run) => ({ name: run.value, runs: [run.value] }));
}

function updateDiff() {
  const columns = diffColumns();
  const table = document.getElementById("diff");
  const everything = document.getElementById("all-settings").checked;
  const shown = (value) => (value === null ? "none" : String(value));
  const heads = ["setting", ...columns.map((column) => column.name)];
  const rows = data.settings.keys.flatMap((key, place) => {
    const texts = columns.map((column) => [
      ...new Set(column.runs.map((run) => shown(data.settings.runs[run][place]))),
    ].join(", "));
    const differs = new Set(texts).size > 1;
    if (!differs && !everything) return [];
    const cells = texts.map((text) => make("td", { textContent: text }));
    const head = make("th", { scope: "row", textContent: key });
    return [make("tr", { className: differs && everything ? "differs" : "" }, head, ...cells)];
  });
  if (!rows.length) {
    const text = columns.length < 2 ? "Select two or more." : "All settings are equal.";
    table.replaceChildren(make("caption", { textContent: text }));
    return;
  }
  table.replaceChildren(
    make("thead", {}, make("tr", {}, ...heads.map((textContent) =>
      make("th", { scope: "col", textContent })))),
    make("tbody", {}, ...rows),
  );
}

// The curves: a run's colour is its place among the selected ones.
function updateLegend() {
  const runs = selected().filter((run) => data.curves[run.value]);
  document.getElementById("curve-runs").replaceChildren(...runs.map((run, place) => {
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = colours[place % colours.length];
    const box = make("input", {
      type: "checkbox", className: "curve-run", value: run.value, checked: !offCurves.has(run.value),
    });
    return make("li", {}, make("label", {}, box, swatch, run.value));
  }));
  const without = selected().filter((run) => !data.curves[run.value]).map((run) => run.value);
  document.getElementById("no-curves").textContent = without.length
    ? `No curves of their own (averages of runs, or damaged): ${without.join(", ")}.` : "";
}

function curveRows(measure) {
  const kinds = all(".rows:checked").map((box) => box.value);
  return all(".curve-run").flatMap((box, place) => (box.checked ? data.curves[box.value] : [])
    .flatMap((curve) => kinds.flatMap((rows) => curve.epoch.map((epoch, one) => ({
      epoch,
      value: curve[rows][measure][one],
      run: box.value,
      member: curve.member,
      rows,
      line: `${box.value} ${curve.member} ${rows}`,
      colour: colours[place % colours.length],
    })))));
}

function updateCurves() {
  for (const [measure, view] of Object.entries(views)) {
    view.data("curves", curveRows(measure)).runAsync();
  }
}

// A run's section gets its pictures and its chart when it is opened.
async function fill(section) {
  for (const picture of all("img[data-digit]", section)) {
    picture.src = `data:image/png;base64,${data.digits[picture.dataset.digit]}`;
  }
  const place = section.querySelector("[data-chart=reliability]:not([data-drawn])");
  const bins = data.reliability[section.dataset.run];
  if (!place || !bins) return;
  place.dataset.drawn = "";
  await draw(place, data.charts.reliability, {
    bins: bins.map(([confidence, accuracy, low, high, rows]) =>
      ({ confidence, accuracy, low, high, rows })),
  });
}

for (const section of all("details.run")) {
  section.addEventListener("toggle", () => section.open && fill(section));
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target || !target.matches("details.run")) return;
  target.hidden = false;
  target.open = true;
  target.scrollIntoView();
}

window.addEventListener("hashchange", openTarget);
updateSelection();
drawAtFirst();
openTarget();
