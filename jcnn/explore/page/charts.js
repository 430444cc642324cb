// Charts: a value per layer next to its prediction, and the progress of training.
import { h } from "./vendor/preact.js";
import { useEffect, useRef } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";

const html = htm.bind(h);
const HEIGHT = 210;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// A uPlot that updates with its data, its size, and the color scheme.
function Chart({ options, data, label }) {
  const box = useRef(null);
  const plot = useRef(null);
  const key = JSON.stringify([options.series.length, options.key]);

  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      const width = Math.max(box.current.clientWidth, 120);
      plot.current = new uPlot({ ...options.make(), width, height: HEIGHT }, data, box.current);
    };
    make();
    const sized = new ResizeObserver(() => {
      if (!box.current) return;  // the chart has been removed
      plot.current.setSize({ width: Math.max(box.current.clientWidth, 120), height: HEIGHT });
    });
    sized.observe(box.current);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    return () => {
      sized.disconnect();
      scheme.removeEventListener("change", make);
      plot.current.destroy();
      plot.current = null;
    };
  }, [key]);

  useEffect(() => plot.current?.setData(data), [data]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${box}></div>`;
}

function axes(x, y, extra = {}) {
  const common = { stroke: colour("grey"), grid: { stroke: colour("faint"), width: 0.5 },
                ticks: { stroke: colour("faint"), width: 0.5 }, font: "12px system-ui" };
  return [{ ...common, label: x, labelFont: "12px system-ui", labelSize: 18, size: 30, ...extra.x },
          { ...common, label: y, labelFont: "12px system-ui", labelSize: 16, size: 58, ...extra.y }];
}

function power(value) {
  if (value === null) return "";
  const exponent = Math.log10(value);
  if (Math.abs(exponent - Math.round(exponent)) > 1e-6) return "";
  const whole = Math.round(exponent);
  return Math.abs(whole) <= 2 ? String(10 ** whole) : `1e${whole}`;
}

// Values that a logarithmic axis can show; a gradient of 0 is not among them.
function positive(values) {
  return values.map((value) => (value !== null && value > 0 ? value : null));
}

// The same range for both networks, so that they can be compared: whole decades, at least two.
function decades(sides, field) {
  const values = Object.values(sides).flatMap((side) => [
    ...(side.flow ? positive(side.flow[field]) : []),
    ...(side.expected ? positive(side.expected[field]) : []),
  ]).filter((value) => value !== null).map(Math.log10);
  if (!values.length) return [0.1, 10];
  let low = Math.floor(Math.min(...values) - 0.05);
  let high = Math.ceil(Math.max(...values) + 0.05);
  if (high - low < 2) { low -= 1; high = Math.max(high, low + 2); }
  return [10 ** low, 10 ** high];
}

export function Layers({ title, field, side, sides }) {
  const { flow, expected } = side;
  if (!flow) return html`<figure><figcaption>${title}</figcaption><div class="chart"></div></figure>`;
  const measured = positive(flow[field]);
  const theory = expected ? positive(expected[field]) : measured.map(() => null);
  const places = measured.map((_, i) => i + 1);
  const range = decades(sides, field);
  const many = Math.round(Math.log10(range[1] / range[0]));
  const every = Math.max(1, Math.ceil(many / 5));
  const splits = [];
  for (let i = 0; i <= many; i += every) splits.push(Number((range[0] * 10 ** i).toPrecision(6)));
  const options = {
    key: [field, range],
    series: [0, 1, 2],
    make: () => ({
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, range: (_, low, high) => [low - 0.4, Math.max(high, 2) + 0.4] },
                y: { distr: 3, range: () => range } },
      axes: axes("layer", "", {
        x: { incrs: [1, 2, 5, 10] },
        y: { splits: () => splits, values: (_, all) => all.map(power), filter: (_, all) => all },
      }),
      series: [{},
        { stroke: colour("blue"), width: 2, points: { show: true, size: 6, fill: colour("blue") } },
        { stroke: colour("orange"), width: 2, dash: [6, 4], points: { show: false } }],
    }),
  };
  const spoken = (value) => (value === null ? "not finite" : value.toPrecision(2));
  const first = spoken(flow[field][0]), last = spoken(flow[field][flow[field].length - 1]);
  return html`<figure><figcaption>${title}</figcaption>
    <${Chart} options=${options} data=${[places, measured, theory]}
      label=${`${title}: ${first} at the first layer, ${last} at the output`} />
    <p class="key"><span class="measured">measured</span> <span class="theory">${
      flow.trained ? "mean-field theory, at initialization" : "mean-field theory"}</span>${
      measured.includes(null) ? html` <span>(0 or not finite: not shown)</span>` : ""}</p>
  </figure>`;
}

export function Progress({ side, sides, chance }) {
  const last = Math.max(...Object.values(sides).map((each) => each.steps[each.steps.length - 1] ?? 1));
  const highest = Math.max(1.1 * chance, 0.1);
  const x = { time: false, range: () => [0, last] };
  const drawn = (stroke, limits, label, format) => ({
    key: [label, last, limits],
    series: [0, 1],
    make: () => ({
      legend: { show: false },
      cursor: { show: false },
      scales: { x, y: { range: () => limits } },
      axes: axes("step", "", { y: { values: (_, all) => all.map(format) } }),
      series: [{}, { stroke: colour(stroke), width: 2, points: { show: false } }],
    }),
  });
  const clipped = side.losses.map((loss) => (loss === null ? null : Math.min(loss, highest)));
  const shares = side.accuracies.map((accuracy) => 100 * accuracy);
  return html`<div class="charts">
    <figure><figcaption>Loss on training batches (chance: ${chance.toFixed(2)})</figcaption>
      <${Chart} options=${drawn("blue", [0, highest], "loss", String)}
        data=${[side.steps, clipped]} label="Loss by step" /></figure>
    <figure><figcaption>Accuracy on validation</figcaption>
      <${Chart} options=${drawn("green", [0, 100], "accuracy", (percent) => `${percent}%`)}
        data=${[side.validated, shares]} label="Validation accuracy by step" /></figure>
  </div>`;
}
