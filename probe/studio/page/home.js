import { $, ask, complain, count, element, fill } from './common.js';

const form = $('ask');
const fields = form.elements;
const mostBytes = Number(form.dataset.maxBytes);
const PAUSE = 250;
let picture = null;
let offer = null;
let wait = 0;
let flight = null;

function wish() {
  const budget = fields.budget.value.trim();
  return {
    picture: picture && picture.id,
    api: fields.service.value || fields.api.value.trim(),
    settings: fields.settings.value,
    label: fields.label.value,
    method: fields.method.value,
    budget: budget === 'auto' ? budget : Number(budget),
    seed: Number(fields.seed.value),
    fill: fields.fill.value.trim(),
  };
}

function withdraw(said) {
  offer = null;
  $('start').disabled = true;
  $('start').textContent = 'Start';
  $('cost').textContent = said;
  $('bound').textContent = '';
  fill($('notes'), [], element);
}

function changed() {
  clearTimeout(wait);
  if (flight) flight.abort();
  $('own').hidden = fields.service.value !== '';
  complain(null);
  if (!picture) return;
  if (!form.checkValidity()) return withdraw('A field above is not filled in as it should be.');
  if (!wish().api) return withdraw('Whose tags? Give the address or the file.');
  withdraw('Looking at what it costs …');
  wait = setTimeout(plan, PAUSE);
}

async function plan() {
  flight = new AbortController();
  const { signal } = flight;
  try {
    const found = await ask('/plan', wish(), { signal });
    if (signal.aborted) return;
    show(found);
  } catch (error) {
    if (error.name === 'AbortError' || signal.aborted) return;
    withdraw('There is no plan yet.');
    complain(error);
  }
}

function show(found) {
  offer = found;
  $('cost').replaceChildren(element('strong', `${count(found.answers, 'answer')}: `), found.line);
  $('bound').textContent = found.bound;
  fill($('notes'), found.notes, (note) => element('li', note));
  fill($('labels'), found.labels, (label) => element('option', undefined, { value: label }));
  fields.label.placeholder = found.question;
  fill($('samples'), found.samples, (one, n) => {
    const item = element('li');
    const alt = `Variant ${n + 1} of the picture`;
    item.append(element('img', undefined, { src: one, alt }));
    return item;
  });
  $('sent').hidden = !found.samples.length;
  $('start').textContent = found.calls ? `Start: ${count(found.calls, 'call')}` : 'Start: no call';
  const lacks = found.calls ? found.lacks : [];
  $('start').disabled = lacks.length > 0;
  if (lacks.length) {
    complain(new Error(`Set ${lacks.join(' and ')} where probe studio is started, and start it again.`));
  }
}

function accept(found) {
  picture = found;
  const [width, height] = found.size;
  $('picked').textContent = [`${found.name}, ${width} x ${height} pixels.`, ...found.notes].join(' ');
  $('preview').src = `/pictures/${found.id}.webp`;
  $('preview').alt = `The picture ${found.name}`;
  $('preview').hidden = false;
  changed();
}

async function take(file) {
  if (!file) return;
  complain(null);
  picture = null;
  $('preview').hidden = true;
  withdraw('What it costs stands here before anything is sent.');
  $('picked').textContent = `Reading ${file.name} …`;
  try {
    if (file.size > mostBytes) {
      throw new Error(`The picture has more than ${mostBytes >> 20} MB: make it smaller first.`);
    }
    accept(await ask(`/pictures?name=${encodeURIComponent(file.name)}`, file));
  } catch (error) {
    $('picked').textContent = 'None yet.';
    complain(error);
  }
}

async function start(event) {
  event.preventDefault();
  if (!offer) return;
  $('start').disabled = true;
  try {
    const { id } = await ask('/runs', { ...wish(), calls: offer.calls });
    location.assign(`/runs/${id}`);
  } catch (error) {
    changed();
    complain(error);
  }
}

function dropping() {
  const place = $('drop');
  for (const name of ['dragenter', 'dragover']) {
    place.addEventListener(name, (event) => {
      event.preventDefault();
      place.classList.add('over');
    });
  }
  place.addEventListener('dragleave', () => place.classList.remove('over'));
  place.addEventListener('drop', (event) => {
    event.preventDefault();
    place.classList.remove('over');
    take(event.dataTransfer.files[0]);
  });
}

function again({ picture: known, wish: asked }) {
  const named = [...fields.service.options].some((one) => one.value === asked.api);
  fields.service.value = named ? asked.api : '';
  fields.api.value = named ? '' : asked.api;
  fields.label.value = asked.label ?? '';
  for (const name of ['method', 'budget', 'seed', 'fill']) fields[name].value = asked[name];
  const lines = Object.entries(asked.settings).map(([key, value]) => `${key}=${value}`);
  fields.settings.value = lines.join('\n');
  accept(known);
}

async function look() {
  const place = $('strangers');
  if (!place.open) return;
  $('looking').textContent = 'Reading the ledger …';
  try {
    const answer = await fetch('/ledger');
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    $('looking').textContent = found.length ? '' : 'None.';
    place.querySelector('table').hidden = !found.length;
    fill(place.querySelector('tbody'), found, (one) => {
      const row = element('tr');
      row.append(...[`${one.picture}…`, one.service, one.answers, one.last].map((cell) => element('td', cell)));
      return row;
    });
  } catch (error) {
    $('looking').textContent = error.message;
  }
}

form.addEventListener('input', (event) => {
  if (event.target !== fields.file) changed();
});
form.addEventListener('submit', start);
fields.file.addEventListener('change', () => take(fields.file.files[0]));
$('strangers').addEventListener('toggle', look);
dropping();
if (form.dataset.again) again(JSON.parse(form.dataset.again));
else if (fields.file.files.length) take(fields.file.files[0]);
