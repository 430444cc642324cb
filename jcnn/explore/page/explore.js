// The page: one connection, up to two networks, and the latest messages about each.
import { h, render } from "./vendor/preact.js";
import { useEffect, useReducer, useRef } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";
import { Network } from "./network.js";

const html = htm.bind(h);
const KEPT_POINTS = 4000;

const NOTHING = {
  flow: null, expected: null, ended: null, error: null, training: false, compiling: false,
  steps: [], losses: [], validated: [], accuracies: [], asked: 0, answered: 0, milliseconds: null, run: null,
};

function fresh(choice) {
  return { ...NOTHING, choice: { ...choice }, example: 0 };
}

// Apply a message to a network's state. A flow counts if it answers the latest request or comes from
// the latest training.
function updated(side, message) {
  if (message.run !== undefined && message.run !== side.run) return side;  // an earlier training
  switch (message.kind) {
    case "flow": {
      if (message.trained) return { ...side, flow: message };
      if (message.number !== side.asked) return side;
      const milliseconds = performance.now() - side.since;
      return { ...side, flow: message, expected: null, error: null, answered: message.number,
               command: message.command, milliseconds };
    }
    case "expected":
      return message.number === side.asked ? { ...side, expected: message } : side;
    case "training":
      if (message.state === "compiling") return { ...side, compiling: true };
      if (message.state === "validated") {
        return { ...side, validated: [...side.validated, message.step],
                 accuracies: [...side.accuracies, message.accuracy], last: message.accuracy,
                 epoch: message.epoch };
      }
      return { ...side, compiling: false, step: message.step, epoch: message.epoch,
               seconds: message.seconds, loss: message.loss,
               steps: thinned([...side.steps, message.step]),
               losses: thinned([...side.losses, message.loss]) };
    case "ended":
      return { ...side, training: false, compiling: false, ended: message.why };
    case "error":
      return { ...side, error: message.text,
               training: side.training && side.compiling ? false : side.training,
               compiling: false };
  }
  return side;
}

function thinned(values) {
  return values.length > KEPT_POINTS ? values.filter((_, i) => i % 2 === 0) : values;
}

function reduce(state, action) {
  switch (action.type) {
    case "welcome":
      return { ...state, welcome: action.message, open: true,
               sides: { a: fresh(action.message.start) } };
    case "closed":
      return { ...state, open: false };
    case "compare": {
      const { a, b } = state.sides;
      return { ...state, sides: b ? { a } : { a, b: fresh(a.choice) } };
    }
    case "side": {
      const side = state.sides[action.side];
      if (!side) return state;
      return { ...state, sides: { ...state.sides, [action.side]: action.change(side) } };
    }
  }
  return state;
}

function Page() {
  const [state, dispatch] = useReducer(reduce, { sides: {}, open: null });
  const socket = useRef(null);
  const counter = useRef(0);
  const newest = useRef(null);
  newest.current = state;

  const send = (message) => {
    if (socket.current?.readyState === WebSocket.OPEN) socket.current.send(JSON.stringify(message));
  };
  const change = (side, how) => dispatch({ type: "side", side, change: how });

  const show = (side, choice, example) => {
    const number = (counter.current += 1);
    change(side, (now) => ({ ...now, choice, example, asked: number, since: performance.now(),
                             error: null }));
    send({ do: "show", side, choice, example, number });
  };

  useEffect(() => {
    const address = location.href.replace(/^http/, "ws").replace(/[?#].*$/, "") + "socket";
    const connection = (socket.current = new WebSocket(address));
    connection.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.kind === "welcome") {
        dispatch({ type: "welcome", message });
        show("a", message.start, 0);
      } else if (message.side) {
        change(message.side, (side) => updated(side, message));
      }
    };
    connection.onclose = () => dispatch({ type: "closed" });
    return () => connection.close();
  }, []);

  const { welcome, sides, open } = state;
  if (!welcome) {
    const text = open === false ? "The connection was refused or lost. Is jcnn explore running?"
                                : "Connecting…";
    return html`<p class="wait">${text}</p>`;
  }

  const actions = (side) => ({
    choose(part, value) {
      const current = newest.current.sides[side];
      const choice = { ...current.choice, [part]: value };
      if (part === "learning_rate") {
        change(side, (now) => ({ ...now, choice }));
        send({ do: "rate", side, learning_rate: value });
        return;
      }
      if (current.training) send({ do: "stop", side });
      change(side, (now) => ({ ...fresh(choice), example: now.example, flow: now.flow,
                               expected: null, milliseconds: now.milliseconds }));
      show(side, choice, current.example);
    },
    example(number) {
      const current = newest.current.sides[side];
      if (current.run !== null) {  // show the network as it has been trained so far
        change(side, (now) => ({ ...now, example: number }));
        send({ do: "example", side, example: number });
      } else {
        show(side, current.choice, number);
      }
    },
    train() {
      const current = newest.current.sides[side];
      const run = (counter.current += 1);
      change(side, (now) => ({ ...now, steps: [], losses: [], validated: [], accuracies: [],
                               ended: null, error: null, training: true, compiling: true, run }));
      send({ do: "train", side, choice: current.choice, example: current.example, run });
    },
    stop() {
      send({ do: "stop", side });
    },
  });

  const compare = () => {
    const both = Boolean(sides.b);
    if (both) send({ do: "stop", side: "b" });
    dispatch({ type: "compare" });
    if (!both) show("b", sides.a.choice, sides.a.example);
  };

  const shown = Object.keys(sides);
  return html`
    <header class=${shown.length > 1 ? "two" : "one"}>
      <h1>jcnn explore</h1>
      <p>A plain CNN on <strong>${welcome.data}</strong> (${welcome.shape.join(" × ")}, ${
        welcome.classes.length} classes). Choose its parts: signals and gradients at
        initialization are measured on ${welcome.batch} images. Then train it.</p>
      <nav>
        <button class="quiet" onClick=${compare}>${sides.b ? "One network" : "Compare two"}</button>
        ${welcome.report && html`<a href="report" target="_blank" rel="noopener">The study's report</a>`}
      </nav>
      ${open === false && html`<p class="error" role="alert">The connection was closed. Start
        <code>jcnn explore</code> again and open the address that it prints.</p>`}
    </header>
    <main class=${shown.length > 1 ? "two" : "one"}>
      ${shown.map((name) => html`<${Network} key=${name} name=${name} side=${sides[name]}
        sides=${sides} welcome=${welcome} actions=${actions(name)} />`)}
    </main>`;
}

render(html`<${Page} />`, document.getElementById("page"));
