import { $, ask, complain, count, element, fill, short } from './common.js';

const { about, calls } = $('redact').dataset;
const { id, width, height, suggested } = JSON.parse(about);
const NAMES = ['Left', 'Top', 'Right', 'Bottom'];
const LEAST = 4;
let boxes = suggested.map((edges) => [...edges]);
let key = null;

const clamp = (value, low, high) => Math.min(Math.max(Math.round(value), low), high);

/* Edges in order, whole, at least a pixel apart and within the picture. */
function tidy([x0, y0, x1, y1]) {
  const [left, top] = [clamp(Math.min(x0, x1), 0, width - 1), clamp(Math.min(y0, y1), 0, height - 1)];
  return [left, top, clamp(Math.max(x0, x1), left + 1, width), clamp(Math.max(y0, y1), top + 1, height)];
}

function moved([x0, y0, x1, y1], dx, dy) {
  const x = clamp(x0 + dx, 0, width - (x1 - x0));
  const y = clamp(y0 + dy, 0, height - (y1 - y0));
  return [x, y, x + x1 - x0, y + y1 - y0];
}

function outdated() {
  key = null;
  $('covered').hidden = true;
}

function set(n, edges) {
  boxes[n] = edges;
  outdated();
  place(n);
}

/* Puts one box, on the picture and in its fields, where it is now. */
function place(n) {
  const [x0, y0, x1, y1] = boxes[n];
  const on = $(`box${n}`);
  on.style.left = `${(100 * x0) / width}%`;
  on.style.top = `${(100 * y0) / height}%`;
  on.style.width = `${(100 * (x1 - x0)) / width}%`;
  on.style.height = `${(100 * (y1 - y0)) / height}%`;
  on.setAttribute('aria-label', `Box ${n + 1}: left ${x0}, top ${y0}, right ${x1}, bottom ${y1}`);
  for (const input of $(`fields${n}`).querySelectorAll('input')) {
    if (input !== document.activeElement) input.value = boxes[n][input.dataset.edge];
  }
}

function remove(n) {
  boxes.splice(n, 1);
  outdated();
  render();
  $('add').focus();
}

function add(edges) {
  boxes.push(edges);
  outdated();
  render();
  return boxes.length - 1;
}

function onPicture(n) {
  const made = element('div', undefined, { class: 'box', id: `box${n}`, tabindex: 0, role: 'group' });
  made.append(element('span', n + 1, { class: 'number', 'aria-hidden': 'true' }), element('span', undefined, { class: 'corner', 'aria-hidden': 'true' }));
  made.addEventListener('keydown', (event) => keyed(event, n));
  made.addEventListener('pointerdown', (event) => dragged(event, n, event.target.className === 'corner' ? 'size' : 'move'));
  return made;
}

function asFields(n) {
  const made = element('fieldset', undefined, { id: `fields${n}` });
  made.append(element('legend', `Box ${n + 1}`));
  NAMES.forEach((name, edge) => {
    const label = element('label', name);
    const most = edge % 2 ? height : width;
    const input = element('input', undefined, { type: 'number', min: 0, max: most, step: 1, 'data-edge': edge });
    input.addEventListener('input', () => {
      if (input.value === '') return;
      const edges = [...boxes[n]];
      edges[edge] = Number(input.value);
      if (edges[0] < edges[2] && edges[1] < edges[3]) set(n, tidy(edges));
    });
    input.addEventListener('change', () => (input.value = boxes[n][edge]));
    label.append(input);
    made.append(label);
  });
  const gone = element('button', 'Remove', { type: 'button', 'aria-label': `Remove box ${n + 1}` });
  gone.addEventListener('click', () => remove(n));
  made.append(gone);
  return made;
}

function render() {
  for (const old of document.querySelectorAll('.box')) old.remove();
  $('stage').append(...boxes.map((_, n) => onPicture(n)));
  fill($('boxes'), boxes, (_, n) => asFields(n));
  boxes.forEach((_, n) => place(n));
  $('cover').disabled = !boxes.length;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function keyed(event, n) {
  if (event.key === 'Delete' || event.key === 'Backspace') {
    event.preventDefault();
    return remove(n);
  }
  const way = ARROWS[event.key];
  if (!way) return;
  event.preventDefault();
  const step = Math.max(1, Math.round(Math.max(width, height) / 100));
  const [dx, dy] = way.map((one) => one * step);
  const [x0, y0, x1, y1] = boxes[n];
  if (event.shiftKey) set(n, tidy([x0, y0, Math.max(x0 + 1, x1 + dx), Math.max(y0 + 1, y1 + dy)]));
  else set(n, moved(boxes[n], dx, dy));
}

function spot(event) {
  const { left, top, width: w, height: h } = $('under').getBoundingClientRect();
  return [((event.clientX - left) * width) / w, ((event.clientY - top) * height) / h];
}

function dragged(event, n, how) {
  event.preventDefault();
  event.stopPropagation();
  const from = spot(event);
  const before = [...boxes[n]];
  $(`box${n}`).focus({ preventScroll: true });
  const stage = $('stage');
  stage.setPointerCapture(event.pointerId);
  const move = (next) => {
    const [x, y] = spot(next);
    if (how === 'move') return set(n, moved(before, x - from[0], y - from[1]));
    const corner = how === 'size' ? [before[2] + x - from[0], before[3] + y - from[1]] : [x, y];
    const start = how === 'size' ? before.slice(0, 2) : from;
    set(n, tidy([...start, ...corner]));
  };
  const end = () => {
    stage.removeEventListener('pointermove', move);
    stage.removeEventListener('pointerup', end);
    stage.removeEventListener('pointercancel', end);
    const [x0, y0, x1, y1] = boxes[n];
    if (how === 'paint' && (x1 - x0 < LEAST || y1 - y0 < LEAST)) remove(n);
  };
  stage.addEventListener('pointermove', move);
  stage.addEventListener('pointerup', end);
  stage.addEventListener('pointercancel', end);
}

async function cover() {
  complain(null);
  outdated();
  $('cover').disabled = true;
  try {
    const found = await ask(`/runs/${id}/cover`, { boxes, fill: $('fill').value.trim(), form: $('form').value });
    ({ key } = found);
    $('covers').textContent = `${found.said}, by ${found.boxes.map(([x0, y0, x1, y1]) => `${x0},${y0}-${x1},${y1}`).join(' and ')} px.`;
    $('after').src = `/runs/${id}/covered/${key}.webp`;
    $('download').href = `/runs/${id}/covered/${key}/file`;
    $('scores').hidden = true;
    $('paid').textContent = '';
    $('ask').disabled = !Number(calls);
    $('covered').hidden = false;
  } catch (error) {
    complain(error);
  } finally {
    $('cover').disabled = !boxes.length;
  }
}

async function score() {
  complain(null);
  $('ask').disabled = true;
  $('paid').textContent = 'Asking …';
  try {
    const found = await ask(`/runs/${id}/covered/${key}/score`, { calls: Number(calls) });
    const sizes = Object.keys(found.after);
    fill($('scores').querySelector('tbody'), sizes, (size) => {
      const row = element('tr');
      const what = size === 'full' ? `${found.label}, at full size` : found.label;
      const cells = [found.before[size], found.after[size]].map((one) => element('td', one === undefined ? '' : short(one)));
      row.append(element('th', what, { scope: 'row' }), ...cells);
      return row;
    });
    $('scores').hidden = false;
    const cost = found.cost === null ? '' : `, ${short(found.cost)} ${found.currency}`;
    $('paid').textContent = `${count(found.calls, 'call')}${cost}.`;
  } catch (error) {
    $('paid').textContent = '';
    complain(error);
  } finally {
    $('ask').disabled = false;
  }
}

$('add').addEventListener('click', () => {
  const n = add(tidy([width / 4, height / 4, (width * 3) / 4, (height * 3) / 4]));
  $(`box${n}`).focus();
});
$('stage').addEventListener('pointerdown', (event) => {
  if (event.button) return;
  const [x, y] = spot(event);
  const n = add(tidy([x, y, x + 1, y + 1]));
  dragged(event, n, 'paint');
});
$('over').addEventListener('change', () => {
  $('under').src = `/runs/${id}/${$('over').checked ? 'map' : 'picture'}.webp`;
});
$('cover').addEventListener('click', cover);
$('ask').addEventListener('click', score);
for (const name of ['fill', 'form']) $(name).addEventListener('input', outdated);
render();
