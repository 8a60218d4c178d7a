"use strict";
(() => {
  const BLANK = 65535, SHOWN = 24, ENDS = 6, PAGE = 120;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const inflate = async (text) => {
    const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const plane = async ({ low, high, data }) => {
    const raw = await inflate(data), view = new DataView(raw.buffer);
    const values = new Float32Array(raw.length / 2);
    for (let i = 0; i < values.length; i++) {
      const step = view.getUint16(2 * i, true);
      values[i] = step === BLANK ? NaN : low + ((high - low) * step) / (BLANK - 1);
    }
    return values;
  };
  const say = (value) => (Number.isFinite(value) ? Number(value.toPrecision(3)).toString().replace("-", "\u2212") : "not known");
  const change = (value) => (value > 0 ? "+" : "") + say(value);
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const bit = (packed, index) => (packed[index >> 3] >> (7 - (index & 7))) & 1;

  class View {
    constructor(root, run, colours, cells) {
      Object.assign(this, { root, run, cells });
      this.colours = Object.fromEntries(Object.entries(colours).map(([name, text]) => [name, bytes(text)]));
      this.find = (name) => root.querySelector("." + name);
      this.label = 0;
      this.view = "value";
      this.spot = null;
      this.held = false;
      this.ready = new Map();
      this.masks = run.variants.map((one) => (one.mask ? bytes(one.mask) : null));
      const [width, height] = run.size, stage = this.find("stage");
      stage.style.aspectRatio = `${width} / ${Math.max(height, width / 8)}`;
      const narrow = `min(100%, ${Math.max(20, Math.round((42 * width) / height))}rem)`;
      if (height > width) for (const name of ["stage", "legend"]) this.find(name).style.maxWidth = narrow;
      const picture = this.find("picture");
      if (run.picture) picture.src = run.picture;
      else picture.remove();
      this.listen();
    }

    listen() {
      const stage = this.find("stage");
      this.find("label").addEventListener("change", (event) => this.choose(Number(event.target.value)));
      this.root.querySelectorAll("input[type=radio]").forEach((radio) =>
        radio.addEventListener("change", () => { this.view = radio.value; this.paint(); }));
      this.find("opacity").addEventListener("input", () => this.fade());
      stage.addEventListener("pointermove", (event) => { if (!this.held && event.pointerType !== "touch") this.point(event); });
      stage.addEventListener("click", (event) => { this.held = !this.held || event.pointerType === "touch"; this.point(event); });
      stage.addEventListener("keydown", (event) => this.key(event));
      this.find("more").addEventListener("click", () => this.list());
      this.find("all").addEventListener("toggle", (event) => { if (event.target.open && !this.listed) this.list(); });
      dark.addEventListener("change", () => this.paint());
    }

    async planes() {
      const label = this.label;
      if (!this.ready.has(label)) {
        const map = this.run.maps[label];
        const [value, stderr, score, unsure] = await Promise.all([plane(map.value), plane(map.stderr), plane(map.score), inflate(map.unsure)]);
        this.ready.set(label, { value, stderr, score, unsure });
      }
      return this.ready.get(label);
    }

    async choose(label) {
      this.label = label;
      this.ends();
      if (this.listed) { this.listed = 0; this.find("everything").replaceChildren(); this.list(); }
      await this.paint();
      this.read();
    }

    scale() {
      const map = this.run.maps[this.label];
      if (this.view === "value") return map.scale;
      const { low, high } = map[this.view];
      return this.view === "stderr" ? [0, high || 1] : [low, high > low ? high : low + 0.05];
    }

    table() {
      if (this.view === "stderr") return this.colours.stderr;
      if (this.view === "score" || this.run.maps[this.label].kind !== "evidence") return this.colours.score;
      return dark.matches ? this.colours.dark : this.colours.light;
    }

    async paint() {
      const planes = await this.planes(), values = planes[this.view];
      const [columns, rows] = this.run.places, [low, high] = this.scale(), table = this.table();
      const dotted = this.view === "value" ? planes.unsure : null;
      const canvas = this.find("map");
      canvas.width = columns; canvas.height = rows;
      const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
      for (let i = 0; i < values.length; i++) {
        if (Number.isNaN(values[i]) || (dotted && bit(dotted, i))) continue;
        const level = Math.round(255 * Math.min(1, Math.max(0, (values[i] - low) / (high - low))));
        image.data.set(table.subarray(4 * level, 4 * level + 4), 4 * i);
      }
      context.putImageData(image, 0, 0);
      this.pattern(values, dotted);
      this.legend(low, high, table, values, dotted);
      this.fade();
    }

    pattern(values, dotted) {
      const [columns, rows] = this.run.places;
      const times = Math.max(1, Math.round(720 / Math.max(columns, rows)));
      this.marked = document.createElement("canvas");
      this.marked.width = columns * times; this.marked.height = rows * times;
      const context = this.marked.getContext("2d"), image = context.createImageData(this.marked.width, this.marked.height);
      const ink = dark.matches ? 235 : 60, wide = this.marked.width;
      for (let y = 0; y < this.marked.height; y++) {
        const row = Math.floor(y / times) * columns;
        for (let x = 0; x < wide; x++) {
          const i = row + Math.floor(x / times);
          const blank = Number.isNaN(values[i]) && (x + y) % 14 < 2;
          const dot = dotted && y % 12 < 2 && (x + (Math.floor(y / 12) % 2) * 6) % 12 < 2 && bit(dotted, i);
          if (blank || dot) image.data.set([ink, ink, ink, 170], 4 * (y * wide + x));
        }
      }
      context.putImageData(image, 0, 0);
      this.mark();
    }

    mark() {
      const canvas = this.find("marks"), source = this.marked;
      if (!source) return;
      if (canvas.width !== source.width || canvas.height !== source.height) { canvas.width = source.width; canvas.height = source.height; }
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.globalAlpha = Number(this.find("opacity").value) / 100;
      context.drawImage(source, 0, 0);
      context.globalAlpha = 1;
      if (!this.spot) return;
      const [x, y] = this.middle(this.spot, canvas);
      for (const [style, width] of [["#fff", 5], ["#000", 2]]) {
        context.strokeStyle = style; context.lineWidth = width;
        context.beginPath(); context.arc(x, y, 9, 0, 7);
        if (this.held) { context.moveTo(x - 15, y); context.lineTo(x + 15, y); context.moveTo(x, y - 15); context.lineTo(x, y + 15); }
        context.stroke();
      }
    }

    middle([column, row], { width, height }) {
      const [px, py] = this.pixel([column, row]), [w, h] = this.run.send;
      return [((px + 0.5) / w) * width, ((py + 0.5) / h) * height];
    }

    fade() {
      const opacity = Number(this.find("opacity").value) / 100;
      this.find("map").style.opacity = opacity;
      const picture = this.find("picture");
      if (picture) picture.style.filter = opacity ? `saturate(${1 - 0.85 * opacity}) contrast(${1 - 0.4 * opacity}) brightness(${dark.matches ? 1 - 0.4 * opacity : 1 + 0.25 * opacity})` : "none";
      this.mark();
    }

    legend(low, high, table, values, dotted) {
      const bar = this.find("bar"), context = bar.getContext("2d"), image = context.createImageData(256, 1);
      const ground = dark.matches ? 60 : 255;
      for (let i = 0; i < 256; i++) {
        const alpha = table[4 * i + 3] / 255;
        for (let c = 0; c < 3; c++) image.data[4 * i + c] = table[4 * i + c] * alpha + ground * (1 - alpha);
        image.data[4 * i + 3] = 255;
      }
      context.putImageData(image, 0, 0);
      const map = this.run.maps[this.label], evidence = map.kind === "evidence";
      this.find("low").textContent = say(low);
      this.find("middle").textContent = say((low + high) / 2);
      this.find("high").textContent = say(high);
      const words = { stderr: `standard error (${map.unit})`, score: `mean score of ${map.label} ${evidence ? "while covered" : "of the windows over the pixel"}` };
      const sides = dark.matches ? "orange speaks for it, blue against" : "red speaks for it, blue against";
      words.value = evidence ? `drop of ${map.label} when covered (${map.unit}); ${sides}` : `mean of ${map.label}, parts sent alone (${map.unit})`;
      this.find("means").textContent = words[this.view];
      const keys = [];
      if (values.some(Number.isNaN)) keys.push(`hatched: not known${map.blank && this.view === "value" ? ` (${map.blank})` : ""}`);
      if (dotted && dotted.some(Boolean)) keys.push("dotted: within 2 standard errors of zero");
      this.find("keys").textContent = keys.join("; ");
    }

    point(event) {
      const box = this.find("stage").getBoundingClientRect(), [w, h] = this.run.send;
      const x = ((event.clientX - box.left) / box.width) * w, y = ((event.clientY - box.top) / box.height) * h;
      this.wish([Math.floor(x / this.run.step), Math.floor(y / this.run.step)]);
    }

    key(event) {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (event.key === "Enter" || event.key === " ") this.held = Boolean(this.spot);
      else if (event.key === "Escape") this.held = false;
      else if (moves[event.key]) {
        const [columns, rows] = this.run.places, by = event.shiftKey ? 10 : 1;
        const [column, row] = this.spot || [Math.floor(columns / 2), Math.floor(rows / 2)];
        const [dx, dy] = this.spot ? moves[event.key] : [0, 0];
        this.wish([column + by * dx, row + by * dy]);
      } else return;
      event.preventDefault();
      this.mark();
    }

    wish([column, row]) {
      const [columns, rows] = this.run.places;
      const spot = [Math.min(columns - 1, Math.max(0, column)), Math.min(rows - 1, Math.max(0, row))];
      if (this.spot && this.spot[0] === spot[0] && this.spot[1] === spot[1]) return this.mark();
      this.spot = spot;
      if (!this.asked) this.asked = requestAnimationFrame(() => { this.asked = 0; this.read(); });
      this.root.dispatchEvent(new CustomEvent("spot", { bubbles: true, detail: { from: this, at: [spot[0] / columns, spot[1] / rows] } }));
    }

    follow([x, y]) {
      const [columns, rows] = this.run.places;
      this.spot = [Math.min(columns - 1, Math.floor(x * columns)), Math.min(rows - 1, Math.floor(y * rows))];
      this.read();
    }

    pixel([column, row]) {
      const [left, top] = this.run.first;
      return [left + column * this.run.step, top + row * this.run.step];
    }

    touches(variant, [x, y]) {
      if (variant.box) {
        const [x0, y0, x1, y1] = variant.box;
        return x0 <= x && x < x1 && y0 <= y && y < y1;
      }
      const mask = this.masks[variant.n], [w, h] = this.run.send, n = this.cells;
      return Boolean(mask && bit(mask, Math.floor(((y + 0.5) / h) * n) * n + Math.floor(((x + 0.5) / w) * n)));
    }

    effect(variant) {
      const score = variant.scores[this.label];
      if (score === null) return -Infinity;
      return variant.kind === "window" || variant.kind === "keep" ? score : Math.abs(this.run.maps[this.label].reference - score);
    }

    sorted(variants) { return [...variants].sort((a, b) => this.effect(b) - this.effect(a) || a.n - b.n); }

    async read() {
      const planes = await this.planes();
      if (!this.spot) return;
      const pixel = this.pixel(this.spot), map = this.run.maps[this.label];
      const at = this.spot[1] * this.run.places[0] + this.spot[0];
      const over = this.sorted(this.run.variants.filter((one) => this.touches(one, pixel)));
      const [x, y] = pixel.map((place, axis) => Math.floor(((2 * place + 1) * this.run.size[axis]) / (2 * this.run.send[axis])));
      const spot = this.find("spot"), value = planes.value[at];
      const error = Number.isFinite(planes.stderr[at]) ? ` ± ${say(planes.stderr[at])}` : "";
      const head = make("strong", "", Number.isFinite(value) ? `${say(value)}${error}` : "not known");
      const unit = Number.isFinite(value) ? ` (${map.unit})` : map.blank ? `: ${map.blank}` : "";
      const mean = Number.isFinite(planes.score[at]) ? `; mean score ${say(planes.score[at])}, whole picture ${say(map.reference)}` : "";
      const many = over.length === 1 ? "1 answer" : `${over.length} answers`;
      spot.replaceChildren(head, `${unit} for ${map.label} at ${x}, ${y} px${mean}. ${many} changed or showed this spot${over.length > SHOWN ? `, the ${SHOWN} with the largest effect:` : over.length ? ", the largest effect first:" : "."}`);
      this.find("evidence").replaceChildren(...over.slice(0, SHOWN).map((one) => this.tile(one)));
      this.mark();
    }

    tile(variant) {
      const item = make("li"), figure = make("figure"), caption = make("figcaption");
      const score = variant.scores[this.label], label = this.run.maps[this.label].label;
      const said = score === null ? "no score" : say(score);
      const done = { box: "with a box covered", window: "a part sent alone", keep: "with all but a part covered", mask: "with a mask over it", full: "at full size" }[variant.kind] || "unchanged";
      item.dataset.n = variant.n;
      if (variant.picture) {
        const picture = make("img");
        picture.src = `data:image/webp;base64,${variant.picture}`;
        picture.alt = `The picture ${done}, ${label}: ${said}`;
        figure.append(picture);
      } else figure.append(this.sketch(variant, `The picture ${done}, ${label}: ${said}`));
      caption.append(make("strong", "", said));
      if (score !== null && variant.kind !== "window" && variant.kind !== "keep") caption.append(` (${change(score - this.run.maps[this.label].reference)})`);
      caption.append(make("br"), `#${variant.n} ${variant.kind}${variant.failure ? `, ${variant.failure}` : ""}`);
      figure.append(caption);
      item.append(figure);
      return item;
    }

    sketch(variant, alt) {
      const [w, h] = this.run.send, factor = 96 / Math.max(w, h), canvas = make("canvas");
      canvas.width = Math.max(1, Math.round(w * factor)); canvas.height = Math.max(1, Math.round(h * factor));
      canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", alt);
      const context = canvas.getContext("2d"), outside = variant.kind === "box" ? "#bbb" : "#555";
      context.fillStyle = variant.box ? outside : "#bbb";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = variant.kind === "box" ? "#555" : "#bbb";
      if (variant.box) {
        const [x0, y0, x1, y1] = variant.box.map((edge) => edge * factor);
        context.fillRect(x0, y0, x1 - x0, y1 - y0);
      }
      return canvas;
    }

    ends() {
      const known = this.sorted(this.run.variants.filter((one) => (one.box || one.mask) && one.scores[this.label] !== null));
      this.find("strongest").replaceChildren(...known.slice(0, ENDS).map((one) => this.tile(one)));
      this.find("weakest").replaceChildren(...known.slice(-ENDS).reverse().map((one) => this.tile(one)));
    }

    list() {
      const from = this.listed || 0, all = this.run.variants;
      this.find("everything").append(...all.slice(from, from + PAGE).map((one) => this.tile(one)));
      this.listed = Math.min(all.length, from + PAGE);
      this.find("more").hidden = this.listed >= all.length;
    }
  }

  const data = JSON.parse(document.getElementById("data").textContent);
  document.body.classList.add("ready");
  const views = data.runs.map((run, n) => new View(document.querySelector(`[data-run="${n}"]`), run, data.colours, data.cells));
  document.addEventListener("spot", ({ detail }) => views.forEach((view) => { if (view !== detail.from) view.follow(detail.at); }));
  Promise.all(views.map((view) => view.choose(0))).then(() => { document.body.dataset.ready = "yes"; });
})();
