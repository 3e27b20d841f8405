// The browser's half of course_utils/pads.py: a point to drag, and a raster to draw on.

const INK = "#222222";
const UNKNOWN = 128, OPEN = [0, 114, 178]; // UNKNOWN of pads.py, and its colour

function frame(model, el, side) {
  // A square that takes the focus and keeps its keys from JupyterLab's shortcuts.
  const box = document.createElement("div");
  box.tabIndex = 0;
  box.dataset.lmSuppressShortcuts = "true";
  box.setAttribute("aria-label", model.get("description"));
  Object.assign(box.style, {
    position: "relative", width: `${side}px`, maxWidth: "100%", aspectRatio: "1",
    border: "1px solid #bdbdbd", touchAction: "none", cursor: "crosshair", userSelect: "none",
  });
  const label = document.createElement("div");
  label.textContent = model.get("description");
  label.style.cssText = "font-size: var(--jp-widgets-font-size, 13px); line-height: 1.6";
  el.append(label, box);
  return box;
}

function follow(box, move) {
  // Call move(event) while the pointer is down, also where it leaves the square.
  let down = false;
  box.addEventListener("pointerdown", (event) => {
    down = true;
    box.setPointerCapture(event.pointerId);
    box.focus({ preventScroll: true });
    event.preventDefault();
    move(event, true);
  });
  box.addEventListener("pointermove", (event) => {
    if (!down) return;
    // a fast pen moves several times between two events
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of steps.length ? steps : [event]) move(step, false);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    box.addEventListener(kind, () => { down = false; });
  }
}

function share(box, event) {
  // Where the pointer is, as parts of width and height in [0, 1].
  const { left, top, width, height } = box.getBoundingClientRect();
  const clip = (value) => Math.min(1, Math.max(0, value));
  return [clip((event.clientX - left) / width), clip((event.clientY - top) / height)];
}

function renderPoint({ model, el }) {
  const box = frame(model, el, model.get("side"));
  box.setAttribute("role", "slider");
  box.setAttribute("aria-roledescription", "point in two dimensions");
  const image = document.createElement("img");
  image.alt = "";
  image.draggable = false;
  // Layers of their own: so a move of the mark does not draw the picture again.
  const layer = "pointer-events: none; will-change: transform";
  image.style.cssText = `width: 100%; height: 100%; display: block; ${layer}`;
  const mark = document.createElement("div");
  mark.className = "course-mark";
  mark.style.cssText = "position: absolute; width: 14px; height: 14px; margin: -9px 0 0 -9px;" +
    `border: 2px solid white; outline: 2px solid ${INK}; border-radius: 50%; ${layer}`;
  box.append(image, mark);

  let address = null;
  function showPicture() {
    const old = address;
    address = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/png" }));
    image.src = address;
    if (old) URL.revokeObjectURL(old);
  }
  function showPoint() {
    const [x, y] = model.get("value");
    const [left, right, bottom, top] = model.get("extent");
    mark.style.left = `${(100 * (x - left)) / (right - left)}%`;
    mark.style.top = `${(100 * (top - y)) / (top - bottom)}%`;
    box.setAttribute("aria-valuenow", x.toFixed(2));
    box.setAttribute("aria-valuetext", `${x.toFixed(2)}, ${y.toFixed(2)}`);
  }
  function send(x, y) {
    const [left, right, bottom, top] = model.get("extent");
    const clip = (value, low, high) => Math.min(high, Math.max(low, value));
    model.set("value", [clip(x, left, right), clip(y, bottom, top)]);
    model.save_changes(); // ipywidgets keeps one message in flight, and then sends the latest
  }

  follow(box, (event) => {
    const [left, right, bottom, top] = model.get("extent");
    const [a, b] = share(box, event);
    send(left + a * (right - left), top - b * (top - bottom));
  });
  box.addEventListener("keydown", (event) => {
    const [left, right, bottom, top] = model.get("extent");
    const [x, y] = model.get("value");
    const part = event.shiftKey ? 0.1 : 0.02;
    const dx = part * (right - left), dy = part * (top - bottom);
    const moves = {
      ArrowLeft: [x - dx, y], ArrowRight: [x + dx, y],
      ArrowDown: [x, y - dy], ArrowUp: [x, y + dy],
      Home: [(left + right) / 2, (bottom + top) / 2],
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    send(...moves[event.key]);
  });
  model.on("change:picture", showPicture);
  model.on("change:value", showPoint);
  model.on("change:extent", showPoint);
  showPicture();
  showPoint();
  return () => URL.revokeObjectURL(address);
}

function renderDrawing({ model, el }) {
  const pixels = model.get("pixels");
  const box = frame(model, el, model.get("side"));
  box.setAttribute("role", "application");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = pixels;
  canvas.style.cssText =
    "width: 100%; height: 100%; display: block; image-rendering: pixelated; background: black";
  const cursor = document.createElement("div");
  cursor.style.cssText = "position: absolute; border: 1px solid #e69f00; pointer-events: none;" +
    `width: ${100 / pixels}%; height: ${100 / pixels}%; display: none`;
  box.append(canvas, cursor);
  const row = document.createElement("div");
  row.style.cssText = "display: flex; gap: 4px; margin-top: 4px";
  el.append(row);
  const sharp = model.get("unknown"); // a pixel is ink, paper, or open
  let tool = "Draw", last = null, at = [pixels >> 1, pixels >> 1];
  const buttons = {};
  const tools = sharp ? ["Draw", "Erase", "Unknown"] : ["Draw", "Erase"];
  for (const name of [...tools, "Clear"]) {
    const button = (buttons[name] = document.createElement("button"));
    button.textContent = name;
    button.className = `jupyter-button course-${name.toLowerCase()}`;
    button.style.width = "auto";
    row.append(button);
  }
  function choose(name) {
    tool = name;
    for (const other of tools) {
      buttons[other].setAttribute("aria-pressed", String(other === name));
      buttons[other].style.fontWeight = other === name ? "bold" : "normal";
    }
  }
  choose("Draw");
  for (const name of tools) buttons[name].addEventListener("click", () => choose(name));
  buttons.Clear.addEventListener("click", () => send(new Uint8Array(pixels * pixels)));

  let ink = read();
  function read() {
    const view = model.get("value");
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return bytes.length === pixels * pixels ? bytes.slice() : new Uint8Array(pixels * pixels);
  }
  function show() {
    const context = canvas.getContext("2d");
    const picture = context.createImageData(pixels, pixels);
    ink.forEach((value, i) => {
      const colour = sharp && value === UNKNOWN ? OPEN : [value, value, value];
      picture.data.set([...colour, 255], 4 * i);
    });
    context.putImageData(picture, 0, 0);
    canvas.dataset.ink = ink.reduce((sum, value) => sum + value, 0);
  }
  function send(bytes) {
    ink = bytes;
    show();
    model.set("value", new DataView(ink.slice().buffer));
    model.save_changes();
  }
  function stroke(from, to) {
    // Full ink within `radius` of the stroke's line, fading out over one pixel unless it is sharp.
    const next = ink.slice(), radius = model.get("radius");
    const [ax, ay] = from, dx = to[0] - ax, dy = to[1] - ay;
    const length = dx * dx + dy * dy;
    for (let i = 0; i < next.length; i++) {
      const px = (i % pixels) + 0.5, py = Math.floor(i / pixels) + 0.5;
      const along = length ? Math.min(1, Math.max(0, ((px - ax) * dx + (py - ay) * dy) / length)) : 0;
      const away = Math.hypot(px - ax - along * dx, py - ay - along * dy);
      // a rubber is a little wider than a pen, and what opens a hole is wider still
      const reach = radius + { Draw: 0, Erase: 0.5, Unknown: 1.5 }[tool];
      const level = Math.round(255 * Math.min(1, Math.max(0, reach + 0.5 - away)));
      if (sharp) {
        if (level > 127) next[i] = { Draw: 255, Erase: 0, Unknown: UNKNOWN }[tool];
      } else {
        next[i] = tool === "Erase" ? Math.min(next[i], 255 - level) : Math.max(next[i], level);
      }
    }
    send(next);
  }
  follow(box, (event, first) => {
    const here = share(box, event).map((part) => part * pixels);
    stroke(first || !last ? here : last, here);
    last = here;
  });
  function showCursor(shown) {
    cursor.style.display = shown ? "block" : "none";
    cursor.style.left = `${(100 * at[0]) / pixels}%`;
    cursor.style.top = `${(100 * at[1]) / pixels}%`;
  }
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const clip = (value) => Math.min(pixels - 1, Math.max(0, value));
    if (event.key in moves) {
      at = at.map((value, axis) => clip(value + moves[event.key][axis]));
    } else if (event.key === " ") {
      const here = at.map((value) => value + 0.5);
      stroke(here, here);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      send(new Uint8Array(pixels * pixels));
    } else {
      return;
    }
    event.preventDefault();
    showCursor(true);
  });
  box.addEventListener("blur", () => showCursor(false));
  model.on("change:value", () => { ink = read(); show(); });
  show();
}

export default {
  render(context) {
    const draws = context.model.get("kind") === "drawing";
    return draws ? renderDrawing(context) : renderPoint(context);
  },
};
