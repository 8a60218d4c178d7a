import { $, ask, complain, count, element, fill, short } from './common.js';

const { id, live, resume } = $('run').dataset;
const SAID = {
  starting: 'Starting …',
  running: 'Running.',
  pausing: 'Pausing: what is on its way is waited for …',
  paused: 'Paused. Nothing more is sent; what was on its way is counted when it goes on.',
  stopping: 'Stopping: what is on its way is waited for, and kept …',
};
const OVER = ['complete', 'stopped', 'failed'];
let shown = 0;

function numbers(view) {
  $('line').textContent = view.line;
  const found = [['Calls', `${view.calls}, at most ${view.most}`]];
  if (view.cost !== null) found.push(['Cost', `${short(view.cost)} ${view.currency}`]);
  if (view.label) found.push([view.label, short(view.score)]);
  if (view.failures) found.push(['Failures', `${view.failures} (last: ${view.failed})`]);
  fill($('numbers'), found, ([name, value]) => {
    const pair = element('div');
    pair.append(element('dt', name), element('dd', value));
    return pair;
  });
}

function scales(found) {
  if (!found) return;
  const bar = document.querySelector('#map + figcaption .colours');
  if (!bar.hasAttribute('src')) bar.src = `/scales/${found.kind}.png`;
  $('low').textContent = short(found.low);
  $('high').textContent = short(found.high);
  $('errorlow').textContent = short(found.error_low);
  $('errorhigh').textContent = short(found.error_high);
  $('mapsaid').textContent =
    found.kind === 'evidence' ? 'The map: red speaks for the label, blue against it' : 'The map';
  for (const place of document.querySelectorAll('.scale')) place.hidden = false;
}

/* The next map takes the place of the last one when all of it is there, so nothing flickers. */
async function draw(which, version) {
  const place = $(which);
  const next = place.cloneNode();
  next.src = `/runs/${id}/live/${which}.png?v=${version}`;
  try {
    await next.decode();
    if (version >= shown) $(which).replaceWith(next);
  } catch {
    /* the run has ended meanwhile: its page comes anew */
  }
}

function show(view) {
  if (OVER.includes(view.state)) return location.reload();
  $('how').textContent = SAID[view.state];
  $('progress').max = view.total;
  $('progress').value = view.answers;
  $('pause').hidden = !['starting', 'running'].includes(view.state);
  $('resume').hidden = !['pausing', 'paused'].includes(view.state);
  $('stop').disabled = view.state === 'stopping';
  numbers(view);
  scales(view.scales);
  if (view.scales) {
    shown = view.version;
    draw('map', shown);
    draw('error', shown);
  }
}

function watch() {
  const news = new EventSource(`/runs/${id}/events`);
  const leave = () => news.close();
  news.onmessage = (event) => {
    const view = JSON.parse(event.data);
    if (OVER.includes(view.state)) leave();
    show(view);
  };
  news.addEventListener('closing', () => {
    leave();
    $('how').textContent =
      'The studio is closing: what has arrived is saved. Start it again and open the address that it prints.';
    for (const button of ['pause', 'resume', 'stop']) $(button).hidden = true;
  });
  news.onerror = () => {
    if (news.readyState === EventSource.CLOSED) return location.reload();
    $('how').textContent = 'The connection to the studio is lost; trying again …';
  };
  window.addEventListener('pagehide', leave);
}

const press = (button, action, body) =>
  $(button).addEventListener('click', async () => {
    complain(null);
    try {
      await ask(`/runs/${id}/${action}`, body());
      if (button === 'again') location.reload();
    } catch (error) {
      complain(error);
      if (button === 'again') left();
    }
  });

let calls = 0;

async function left() {
  try {
    const offer = await ask(`/runs/${id}/plan`, {});
    calls = offer.calls;
    $('again').textContent = calls ? `Resume: ${count(calls, 'call')}` : 'Resume: no call';
    $('cost').textContent = `${offer.line}. ${offer.bound}`;
    $('again').disabled = false;
  } catch (error) {
    $('cost').textContent = '';
    complain(error);
  }
}

async function remove() {
  if (!confirm('Delete the picture and the map of this run? Its answers stay in the ledger.')) return;
  try {
    await ask(`/runs/${id}/delete`, {});
    location.assign('/');
  } catch (error) {
    complain(error);
  }
}

if (live !== '1') $('delete').addEventListener('click', remove);
if (live === '1') {
  press('pause', 'pause', () => ({}));
  press('resume', 'resume', () => ({}));
  press('stop', 'stop', () => ({}));
  watch();
} else if (resume === '1') {
  press('again', 'resume', () => ({ calls }));
  left();
}
