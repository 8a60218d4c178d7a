export const $ = (id) => document.getElementById(id);

/* Asks the studio; throws an Error with its line where it says no. */
export async function ask(path, body, more = {}) {
  const sent = body instanceof Blob ? body : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(path, { method: 'POST', body: sent, ...more });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error('The studio does not answer: has it been closed?');
  }
  const text = await answer.text();
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error(text || `the studio answered ${answer.status}`);
  }
  if (!answer.ok) throw new Error(found.error);
  return found;
}

export function complain(error) {
  const place = $('wrong');
  place.textContent = error ? error.message : '';
  place.hidden = !error;
}

export function fill(list, items, make) {
  list.replaceChildren(...items.map(make));
}

export function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export const count = (number, noun) =>
  `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;

export const short = (number) => (number === 0 ? '0' : Number(number.toPrecision(3)).toString());
