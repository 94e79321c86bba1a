// ------------------------------------------------------------------------------------------------- skeletons
// Skeletons on a canvas: seen from the sensor, x to the right, y up, without perspective, one scale for all axes.

const LOWEST = { 8: -128, 16: -32768 }; // a body that is not seen
const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The numbers of a take, as `viewer/scene.py` packs them: bodies x frames x joints x 3, times `unit` metres. */
function unpack(take) {
  const bytes = Uint8Array.from(atob(take.data), (letter) => letter.charCodeAt(0));
  if (take.bits === 8) return new Int8Array(bytes.buffer);
  const view = new DataView(bytes.buffer);
  return Int16Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true));
}

/** From where it is looked at: angles in radians, and whether as an eye would see it (not mirrored). */
const sensorView = () => ({ yaw: 0, pitch: 0, eye: true });

class Skeletons {
  /** `size`: half of what is to be seen, metres, so that several takes can share a scale. */
  constructor(canvas, layout, take, view, size = null) {
    Object.assign(this, { canvas, layout, take, view, frame: 0 });
    this.numbers = unpack(take);
    this.size = size ?? Skeletons.size([take]);
    this.left = new Set(layout.left);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(canvas);
  }

  /** Leaves the canvas to another. */
  forget() { this.watch.disconnect(); }

  /** Half the width and height that hold takes however they are turned about y. */
  static size(takes) {
    const half = [0, 1, 2].map((axis) => Math.max(...takes.map((take) => take.half[axis])));
    return [Math.max(Math.hypot(half[0], half[2]), 0.5), Math.max(half[1], 0.5)];
  }

  /** A joint on the canvas: [right, down, depth], or null where the body is not seen. */
  place(body, joint, frame = this.frame) {
    const { take, numbers, view, layout } = this;
    const at = 3 * ((body * take.frames + Math.min(frame, take.frames - 1)) * layout.joints + joint);
    if (numbers[at] === LOWEST[take.bits]) return null;
    const [x, y, z] = [numbers[at] * (view.eye ? -1 : 1), numbers[at + 1], numbers[at + 2]].map((value) => value * take.unit);
    return this.project(x, y, z);
  }

  project(x, y, z) {
    const { yaw, pitch } = this.view;
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const [right, away] = [x * cy + z * sy, z * cy - x * sy];
    const { width, height } = this.canvas.getBoundingClientRect();
    const scale = 0.94 * Math.min(width / (2 * this.size[0]), height / (2 * this.size[1]));
    return [width / 2 + scale * right, height / 2 - scale * (y * cp + away * sp), away * cp - y * sp];
  }

  draw() {
    const { canvas, take, layout } = this;
    const { width, height } = canvas.getBoundingClientRect();
    const density = window.devicePixelRatio || 1;
    if (!width) return;
    canvas.width = width * density;
    canvas.height = height * density;
    const pen = canvas.getContext("2d");
    pen.scale(density, density);
    pen.lineCap = "round";
    const style = getComputedStyle(canvas);
    const bones = [];
    for (let body = 0; body < take.bodies; body++) {
      for (const [child, parent] of layout.bones) {
        const [from, to] = [this.place(body, child), this.place(body, parent)];
        if (from && to) bones.push({ from, to, body, left: this.left.has(child), depth: from[2] + to[2] });
      }
    }
    bones.sort((one, other) => other.depth - one.depth); // far ones first
    const thick = Math.max(1.5, Math.min(width, height) / 110);
    for (const { from, to, body, left } of bones) {
      pen.strokeStyle = style.getPropertyValue(`--body${body % 6}${left ? "left" : ""}`);
      pen.lineWidth = thick;
      pen.beginPath();
      pen.moveTo(from[0], from[1]);
      pen.lineTo(to[0], to[1]);
      pen.stroke();
    }
    for (let body = 0; body < take.bodies; body++) {
      const head = layout.head == null ? null : this.place(body, layout.head);
      if (!head) continue;
      pen.fillStyle = style.getPropertyValue(`--body${body % 6}`);
      pen.beginPath();
      pen.arc(head[0], head[1], 1.8 * thick, 0, 2 * Math.PI);
      pen.fill();
    }
  }
}

/** Calls `show(frame)` at `rate` frames a second, over and over, while it plays. */
class Player {
  constructor(frames, rate, show) {
    Object.assign(this, { frames, rate, show, at: 0, speed: 1, playing: false, next: 0 });
  }

  play(on = true) {
    if (on === this.playing) return;
    this.playing = on;
    cancelAnimationFrame(this.next);
    if (!on) return;
    let last = null; // a frame's time is that of its beginning, which may be before this
    const step = (now) => {
      last ??= now;
      this.at = (this.at + ((now - last) / 1000) * this.rate * this.speed) % this.frames;
      last = now;
      this.show(Math.floor(this.at));
      this.next = requestAnimationFrame(step);
    };
    this.next = requestAnimationFrame(step);
  }

  go(frame) {
    this.at = Math.max(0, Math.min(this.frames - 1, frame));
    this.show(Math.floor(this.at));
  }
}

/** Dragging and the arrow keys turn what is drawn; `redraw` after each change of `view`. */
function turnable(canvas, view, redraw) {
  const turn = (right, down) => {
    view.yaw -= right;
    view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + down));
    redraw();
  };
  let from = null;
  canvas.addEventListener("pointerdown", (event) => {
    from = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    turn((event.clientX - from[0]) / 120, (event.clientY - from[1]) / 120);
    from = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
    if (!step) return;
    event.preventDefault();
    turn(...step);
  });
}
