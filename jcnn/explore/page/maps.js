// Grey-level pictures: the images, and the feature maps of each layer.
import { h } from "./vendor/preact.js";
import { useEffect, useRef } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";

const html = htm.bind(h);

export function Grey({ picture }) {
  const canvas = useRef(null);
  useEffect(() => {
    const { rows, columns, grey } = picture;
    const bytes = Uint8Array.from(atob(grey), (letter) => letter.charCodeAt(0));
    const context = canvas.current.getContext("2d");
    const image = context.createImageData(columns, rows);
    bytes.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
    context.putImageData(image, 0, 0);
  }, [picture]);
  return html`<canvas class="grey" width=${picture.columns} height=${picture.rows} ref=${canvas} />`;
}

function number(value) {
  return value === null ? "not finite" : Number(value.toPrecision(2)).toString();
}

export function Maps({ maps }) {
  return html`<div class="maps scroll" tabindex="0" role="group" aria-label="Feature maps by layer">
    ${maps.map((layer) => html`<div class="layer" key=${layer.layer}>
      <span class="name">${layer.layer}</span>
      <span class="tiles">${layer.maps.map((picture, i) => html`<${Grey} key=${i} picture=${picture} />`)}</span>
      <span class="range">${number(layer.low)} to ${number(layer.high)}</span>
    </div>`)}
  </div>`;
}
