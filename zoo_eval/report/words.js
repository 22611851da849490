// Values as a reader sees them, and elements with text that can be nothing else.
const counted = new Intl.NumberFormat("en");

function inWords(value, kind) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (kind === "count") return value < 3000 ? String(value) : counted.format(value);
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4)) return value.toPrecision(3);
  return value.toFixed(3);
}

// An element with attributes and children; strings become text, never markup.
function made(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function say(text) {
  document.getElementById("said").textContent = text;
}

function linkTo(model) {
  return "#model/" + encodeURIComponent(model);
}

async function unpacked(identifier) {
  const text = document.getElementById(identifier).textContent;
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}
