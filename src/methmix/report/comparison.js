// The interactive figures: what the reader selects decides the data of each, which all come from one table.
"use strict";
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const DATA = read("data"), SPECIFICATIONS = read("specifications"), VIEWS = {};
const FILTERS = document.getElementById("filters"), PICK = document.getElementById("mixture");
const MIAMI = document.getElementById("chart-miami");
const N_TISSUES = DATA.tissues.length, THRESHOLD = DATA.present * DATA.units;
const range = (n) => [...Array(n).keys()];
const format = (value, unit) => {
  if (!Number.isFinite(value)) return "none";
  return unit === "%" ? `${(100 * value).toFixed(2)} %` : value.toFixed(2);
};
const percent = (units) => (units === 0 ? "0" : `${((100 * units) / DATA.units).toFixed(1)} %`);

// What the reader selected, and the mixture that is worked out.
let selected = { mixtures: [], tissues: [], arm: "", arms: [] };
let chosen = 0, bars = [], bar = 0;

const entry = (m, t) => m * N_TISSUES + t;
const isSpurious = (true_, predicted) => true_ === 0 && predicted >= THRESHOLD;
const isMissed = (true_, predicted) => true_ >= THRESHOLD && predicted < THRESHOLD;

function readFilters() {
  const form = new FormData(FILTERS);
  const allows = (name, value) => form.get(name) === "" || form.get(name) === String(value);
  selected = {
    mixtures: range(DATA.mixtures.length).filter(
      (m) => allows("depth", DATA.depth[m]) && allows("number", DATA.number[m]),
    ),
    tissues: range(N_TISSUES).filter((t) => allows("tissue", DATA.tissues[t])),
    arm: form.get("arm"),
    arms: form.getAll("arms"),
  };
}

// The errors of an arm on some mixtures and tissues, as in methmix.scores.
function errors(arm, mixtures, tissues) {
  const predictions = DATA.arms[arm].predicted;
  let error = 0, ofPresent = 0, present = 0, absent = 0, spurious = 0, missed = 0;
  for (const m of mixtures) {
    for (const t of tissues) {
      const true_ = DATA.true[entry(m, t)], predicted = predictions[entry(m, t)], off = Math.abs(predicted - true_);
      error += off;
      if (true_ >= THRESHOLD) { present += 1; ofPresent += off; }
      absent += true_ === 0;
      spurious += isSpurious(true_, predicted);
      missed += isMissed(true_, predicted);
    }
  }
  return {
    mae: error / DATA.units / (mixtures.length * tissues.length),
    maePresent: ofPresent / DATA.units / present,
    falseRate: spurious / absent,
    spurious: spurious / mixtures.length,
    missed: missed / mixtures.length,
  };
}

// One entry of one arm, as the tooltips show it.
function described(arm, m, t) {
  const own = DATA.arms[arm], i = entry(m, t);
  return {
    m, mixture: DATA.mixtures[m], tissue: DATA.tissues[t], depth: DATA.depth[m], arm,
    true: DATA.true[i] / DATA.units, predicted: own.predicted[i] / DATA.units,
    interval: own.low ? `${percent(own.low[i])} to ${percent(own.high[i])}` : "none",
  };
}

// The bars of the Miami plot, in the order of the static one: by truth, then the false positives.
function miamiBars() {
  const drawn = selected.tissues.map((t) => {
    const at = (m) => [DATA.true[entry(m, t)], DATA.arms[selected.arm].predicted[entry(m, t)]];
    const rows = selected.mixtures.filter((m) => at(m)[0] > 0 || isSpurious(...at(m)));
    const order = (a, b) => at(b)[0] - at(a)[0] || at(b)[1] - at(a)[1];
    return [t, rows.sort(order), at];
  });
  const total = drawn.reduce((sum, [, rows]) => sum + rows.length, 0);
  const gap = Math.max(1, (0.15 * total) / drawn.length);
  const outline = [], labels = [];
  let x = 0;
  bars = [];
  drawn.forEach(([t, rows, at], rank) => {
    const shade = DATA.colours.shades[rank % 2], none = { shade, up: 0, down: 0, missed: 0, spurious: 0 };
    labels.push({ x: x + Math.max(rows.length, 1) / 2, tissue: DATA.tissues[t] });
    for (const m of rows) {
      const one = described(selected.arm, m, t);
      const marked = { missed: isMissed(...at(m)) ? one.true : 0, spurious: isSpurious(...at(m)) ? -one.predicted : 0 };
      bars.push({ ...none, ...one, ...marked, x, end: x + 1, up: one.true, down: -one.predicted });
      x += 1;
    }
    // The outline of a tissue ends where its last bar does.
    outline.push({ ...none, x, end: x, tissue: DATA.tissues[t] });
    x += (rows.length ? 0 : 1) + gap;
  });
  return { bars: [...bars, ...outline].sort((a, b) => a.x - b.x), labels };
}

function points() {
  const { spurious, missed } = DATA.colours, own = DATA.arms[selected.arm], found = [];
  for (const m of selected.mixtures) {
    for (const t of selected.tissues) {
      const true_ = DATA.true[entry(m, t)], predicted = own.predicted[entry(m, t)];
      if (true_ === 0 && predicted === 0) continue;
      const wrong = isSpurious(true_, predicted), lost = isMissed(true_, predicted), one = described(selected.arm, m, t);
      // Spread by a hash of the entry, so that each stays where it is.
      const x = true_ === 0 ? -0.05 * ((entry(m, t) * 0.618034) % 1) - 0.005 : one.true;
      found.push({ ...one, x, colour: wrong ? spurious : lost ? missed : own.colour });
    }
  }
  return found;
}

// One value per arm of `arms` and group, of a metric in `errors`.
function grouped(groups, metric, name) {
  return selected.arms.flatMap((arm) =>
    groups
      .map(([group, mixtures, tissues]) => {
        const value = errors(arm, mixtures, tissues)[metric];
        return { [name]: group, arm, colour: DATA.arms[arm].colour, value };
      })
      .filter(({ value }) => Number.isFinite(value)),
  );
}

function byValue(values) {
  const distinct = [...new Set(selected.mixtures.map((m) => values[m]))].sort((a, b) => a - b);
  return distinct.map((value) => [value, selected.mixtures.filter((m) => values[m] === value), selected.tissues]);
}

function tableOfArms() {
  const rows = Object.keys(DATA.arms).map((arm) => {
    const { mae, spurious, missed } = errors(arm, selected.mixtures, selected.tissues);
    return [arm, format(mae, "%"), format(spurious), format(missed)];
  });
  const body = document.querySelector("#selection tbody");
  body.replaceChildren(...rows.map((cells) => tableRow(cells.map((text) => ({ text })))));
}

// A row of a table; a cell has text, and where wanted a smaller line and a class.
function tableRow(cells, kind = "td") {
  const row = document.createElement("tr");
  for (const { text, small, name } of cells) {
    const cell = row.appendChild(document.createElement(kind));
    cell.textContent = text;
    if (small) cell.appendChild(document.createElement("small")).textContent = small;
    if (name) cell.className = name;
  }
  return row;
}

function setData(name, data) {
  const view = VIEWS[name];
  for (const [key, rows] of Object.entries(data)) view.data(key, rows);
  return view.resize().runAsync();
}

// Choose the mixture that is worked out; `at` is its bar in the Miami plot, if one was pointed at.
function choose(m, at = bars.findIndex((one) => one.m === m)) {
  [chosen, bar] = [m, at];
  PICK.value = m;
  const arms = Object.keys(DATA.arms), value = (arm, t) => DATA.arms[arm].predicted[entry(m, t)];
  const truth = (t) => DATA.true[entry(m, t)], donor = (t) => DATA.donors.names[DATA.donors.entries[entry(m, t)]];
  const tissues = range(N_TISSUES)
    .filter((t) => truth(t) > 0 || arms.some((arm) => value(arm, t) >= THRESHOLD))
    .sort((a, b) => truth(b) - truth(a));
  const cell = (arm, t) => {
    const { low, high } = DATA.arms[arm], i = entry(m, t), both = [truth(t), value(arm, t)];
    return {
      text: percent(both[1]), small: low && `${percent(low[i])} to ${percent(high[i])}`,
      name: isSpurious(...both) ? "wrong" : isMissed(...both) ? "lost" : "",
    };
  };
  const heading = [{ text: "tissue" }, { text: "donor" }, { text: "true" }, ...arms.map((text) => ({ text }))];
  document.querySelector("#worked thead").replaceChildren(tableRow(heading, "th"));
  const rows = tissues.map((t) => [
    { text: DATA.tissues[t] }, { text: donor(t) || "none" }, { text: percent(truth(t)) }, ...arms.map((arm) => cell(arm, t)),
  ]);
  document.querySelector("#worked tbody").replaceChildren(...rows.map((cells) => tableRow(cells)));
  document.getElementById("chosen").textContent =
    `${DATA.mixtures[m]}: mean depth ${DATA.depth[m]}, ${DATA.number[m]} tissues mixed`;
  const ofArm = (arm, t) => {
    const { low, high, colour } = DATA.arms[arm], i = entry(m, t);
    return { ...described(arm, m, t), colour, low: low && low[i] / DATA.units, high: high && high[i] / DATA.units };
  };
  VIEWS.worked.height(28 * tissues.length);
  setData("worked", { worked: tissues.flatMap((t) => selected.arms.map((arm) => ofArm(arm, t))) });
  setData("miami", { chosen: bars.filter((one) => one.m === m).map(({ x }) => ({ x: x + 0.5 })) });
}

function update() {
  readFilters();
  const { mixtures, tissues } = selected, n = DATA.mixtures.length;
  document.getElementById("count").textContent = `${mixtures.length.toLocaleString("en")} of ${n.toLocaleString("en")} mixtures`;
  const said = (name, all) => FILTERS.elements[name].value || all;
  for (const [place, text] of [
    [".of-arm", selected.arm],
    [".of-selection", `${document.getElementById("count").textContent}; tissues: ${said("tissue", "all")}; depth: ` +
      `${said("depth", "all")}; tissues in the mixture: ${said("number", "any")}.`],
  ]) document.querySelectorAll(place).forEach((element) => { element.textContent = text; });
  // The legend is that of the check boxes.
  const legend = [...FILTERS.querySelectorAll("fieldset label")].filter((label) => label.control.checked);
  document.querySelectorAll(".compared").forEach((place) => {
    place.replaceChildren(...legend.map((label) => {
      const item = document.createElement("span");
      item.append(label.querySelector(".swatch").cloneNode(), label.textContent);
      return item;
    }));
  });
  tableOfArms();
  const byTissue = tissues.map((t) => [DATA.tissues[t], mixtures, [t]]);
  const byDepth = byValue(DATA.depth), byNumber = byValue(DATA.number);
  setData("miami", miamiBars());
  setData("scatter", { points: points() });
  setData("tissue_error", { by_tissue: grouped(byTissue, "maePresent", "tissue") });
  setData("tissue_false", { by_tissue: grouped(byTissue, "falseRate", "tissue") });
  setData("depth_error", { lines: grouped(byDepth, "mae", "x") });
  setData("depth_false", { lines: grouped(byDepth, "spurious", "x") });
  setData("number_error", { lines: grouped(byNumber, "mae", "x") });
  setData("number_false", { lines: grouped(byNumber, "spurious", "x") });
  PICK.replaceChildren(...mixtures.map((m) => new Option(`${DATA.mixtures[m]} (depth ${DATA.depth[m]})`, m)));
  if (mixtures.length) choose(mixtures.includes(chosen) ? chosen : mixtures[0]);
}

// Steps through the bars of the Miami plot, and through the selected mixtures.
const STEPS = { ArrowRight: 1, ArrowLeft: -1, PageDown: 20, PageUp: -20, Home: -Infinity, End: Infinity };
const within = (i, list) => Math.max(0, Math.min(list.length - 1, i));

function listen() {
  FILTERS.addEventListener("change", update);
  FILTERS.addEventListener("reset", () => setTimeout(update));
  PICK.addEventListener("change", () => choose(Number(PICK.value)));
  document.querySelectorAll("[data-step]").forEach((button) =>
    button.addEventListener("click", () => {
      const list = selected.mixtures;
      choose(list[within(list.indexOf(chosen) + Number(button.dataset.step), list)]);
    }),
  );
  MIAMI.addEventListener("keydown", (event) => {
    if (!(event.key in STEPS) || !bars.length) return;
    event.preventDefault();
    const at = within(bar + STEPS[event.key], bars);
    choose(bars[at].m, at);
  });
  for (const name of ["miami", "scatter"]) {
    VIEWS[name].addEventListener("click", (_, item) => {
      if (item?.datum?.m !== undefined) choose(item.datum.m, name === "miami" ? bars.indexOf(item.datum) : undefined);
    });
  }
  for (const name of ["tissue_error", "tissue_false"]) {
    VIEWS[name].addEventListener("click", (_, item) => {
      if (!item?.datum?.tissue) return;
      FILTERS.elements.tissue.value = item.datum.tissue;
      update();
    });
  }
}

async function start() {
  const actions = { export: true, source: false, compiled: false, editor: false };
  // Errors alone: it warns of every axis whose data are still to come, or are an empty selection.
  const logLevel = 1;
  for (const [name, specification] of Object.entries(SPECIFICATIONS)) {
    const options = { renderer: "svg", actions, logLevel, downloadFileName: name };
    VIEWS[name] = (await vegaEmbed(`#chart-${name}`, specification, options)).view;
  }
  listen();
  update();
  document.body.dataset.ready = "yes";
}
start();
