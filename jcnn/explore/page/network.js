// One network: its controls, its layers, its training, and the feature maps of an image.
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";
import { Layers, Progress } from "./charts.js";
import { Grey, Maps } from "./maps.js";

const html = htm.bind(h);

const LABELS = {
  activation: "Activation", kernel_init: "Initialization", normalization: "Normalization",
  pooling: "Pooling", optimizer: "Optimizer", depth: "Depth", gain: "Weights ×",
  width: "Channels", learning_rate: "Learning rate", seed: "Seed",
};

function short(value) {
  return Number(value.toPrecision(2)).toString();
}

function Named({ part, side, welcome, actions }) {
  return html`<label>${LABELS[part]}
    <select name=${part} value=${side.choice[part]}
            onChange=${(event) => actions.choose(part, event.target.value)}>
      ${welcome.options[part].map((name) => html`<option value=${name}>${name}</option>`)}
    </select></label>`;
}

// A slider. A `logarithmic` slider moves by ratios.
function Slider({ part, side, welcome, actions, logarithmic }) {
  const [low, high] = welcome.ranges[part];
  const value = side.choice[part];
  const to = (x) => (logarithmic ? Math.log10(x) : x);
  const from = (x) => (logarithmic ? Number((10 ** x).toPrecision(2)) : Number(x));
  return html`<label>${LABELS[part]} <span class="value">${logarithmic ? short(value) : value}</span>
    <input type="range" name=${part} min=${to(low)} max=${to(high)} value=${to(value)}
           step=${logarithmic ? 0.05 : 1} aria-valuetext=${String(value)}
           onInput=${(event) => actions.choose(part, from(Number(event.target.value)))} />
  </label>`;
}

function Controls(props) {
  const { side, welcome, actions } = props;
  return html`<form class="controls" onSubmit=${(event) => event.preventDefault()}>
    <${Slider} ...${props} part="depth" />
    <${Slider} ...${props} part="gain" logarithmic />
    <${Named} ...${props} part="activation" />
    <${Named} ...${props} part="kernel_init" />
    <${Named} ...${props} part="normalization" />
    <${Named} ...${props} part="pooling" />
    <label>${LABELS.width}
      <select name="width" value=${String(side.choice.width)}
              onChange=${(event) => actions.choose("width", Number(event.target.value))}>
        ${welcome.widths.map((width) => html`<option value=${String(width)}>${width}</option>`)}
      </select></label>
    <div class="label">${LABELS.seed}
      <span class="seed"><span class="value">${side.choice.seed}</span>
      <button type="button" class="quiet" onClick=${() => actions.choose("seed", side.choice.seed + 1)}>
        Draw again</button></span></div>
  </form>`;
}

function Verdict({ side }) {
  const flow = side.flow;
  if (!flow) return html`<p class="verdict">…</p>`;
  const good = flow.verdict === "healthy";
  const when = flow.trained ? "With the current weights: " : "At initialization: ";
  return html`<div class=${good ? "verdict good" : "verdict bad"} aria-live="polite">
    <p><strong>${when}${flow.verdict.replace("_", " ")}.</strong>
      ${good && html` Nothing is wrong with its signals and gradients.`}</p>
    ${flow.sentences.map((sentence) => html`<p>${sentence}</p>`)}
    ${flow.remedies.map((remedy) => html`<p class="remedy">${remedy}</p>`)}
  </div>`;
}

function Training(props) {
  const { side, welcome, actions } = props;
  const { training, compiling } = side;
  const state = compiling ? "compiling the train step…"
    : training ? "training" : side.ended ?? "not trained yet";
  const count = side.steps.length
    ? `step ${side.step}, epoch ${side.epoch.toFixed(1)}, ${side.seconds.toFixed(1)} s` : "";
  const accuracy = side.accuracies.length
    ? `validation accuracy ${(100 * side.last).toFixed(1)}%` : "";
  return html`<section>
    <h2>Training</h2>
    <form class="controls" onSubmit=${(event) => event.preventDefault()}>
      <${Named} ...${props} part="optimizer" />
      <${Slider} ...${props} part="learning_rate" logarithmic />
    </form>
    <p class="train">
      <button class="go" onClick=${actions.train}>${
        side.run === null ? "Train" : "Train again"}</button>
      <button class="quiet" aria-disabled=${!training}
              onClick=${() => training && actions.stop()}>Stop</button>
      <span class="state" role="status">${[state, count, accuracy].filter(Boolean).join(" · ")}</span>
    </p>
    ${side.steps.length > 0 && html`<${Progress} side=${side} sides=${props.sides}
      chance=${Math.log(welcome.classes.length)} />`}
  </section>`;
}

function FeatureMaps({ side, welcome, actions }) {
  const flow = side.flow;
  return html`<section>
    <h2>Feature maps of an image</h2>
    <div class="examples" role="group" aria-label="Image">
      ${welcome.examples.map((example, i) => html`
        <button class=${i === side.example ? "example chosen" : "example"}
                aria-pressed=${i === side.example} aria-label=${`image of ${example.label}`}
                onClick=${() => actions.example(i)}><${Grey} picture=${example.image} /></button>`)}
    </div>
    ${flow && html`<${Maps} maps=${flow.maps} />`}
    ${flow && html`<ol class="shares" aria-label="Predicted probabilities">
      ${welcome.classes.map((name, i) => {
        const share = flow.shares[i];
        const right = name === welcome.examples[side.example].label;
        return html`<li class=${right ? "right" : ""}><span class="name">${name}</span>
          <meter min="0" max="1" value=${share ?? 0}></meter>
          <span class="share">${share === null ? "–" : `${(100 * share).toFixed(0)}%`}</span></li>`;
      })}
    </ol>`}
  </section>`;
}

export function Network(props) {
  const { name, side, sides, welcome } = props;
  const took = side.milliseconds === null ? "" : `computed in ${side.milliseconds.toFixed(0)} ms`;
  return html`<article id=${`network-${name}`} aria-label=${`Network ${name.toUpperCase()}`}>
    ${sides.b && html`<h2 class="name">Network ${name.toUpperCase()}</h2>`}
    <${Controls} ...${props} />
    ${side.error && html`<p class="error" role="alert">${side.error}</p>`}
    <${Verdict} side=${side} />
    <div class="charts">
      <${Layers} title="Signal: std of each layer's output" field="std"
        side=${side} sides=${sides} />
      <${Layers} title="Gradient: |dL/dh| at each layer's output" field="gradient"
        side=${side} sides=${sides} />
    </div>
    <p class="took">${took}${side.flow && side.answered === side.asked ? "" : " …"}</p>
    <${Training} ...${props} />
    <${FeatureMaps} side=${side} welcome=${welcome} actions=${props.actions} />
    ${side.command && html`<details><summary>The same on the command line</summary>
      <pre>${side.command}</pre>
      ${side.choice.gain !== 1 && html`<p class="took">This leaves out the factor
        ${side.choice.gain} on the weights, which exists only on this page.</p>`}</details>`}
  </article>`;
}
