// Keeps an open page fresh, and settles by keyboard. Without it every page works by its buttons.
'use strict';

const live = () => document.querySelector('[data-live]');
const cards = () => [...document.querySelectorAll('[data-card]')];
let chosen = null; // the id of the card that the keys are about
let shown = live() && live().innerHTML; // as the server drew it
let left = false; // the page is being left: nothing is swapped any more

function mark(card, focus) {
  for (const other of cards()) other.classList.toggle('chosen', other === card);
  chosen = card ? card.id : null;
  if (card && focus) {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: 'nearest' });
  }
}

function step(by) {
  const all = cards();
  if (!all.length) return;
  const at = all.findIndex((card) => card.id === chosen);
  mark(all[Math.max(0, Math.min(all.length - 1, at + by))], true);
}

// What a person is in the middle of: a choice made and not sent, an open list, a text.
function busy() {
  const inside = live();
  if (!inside) return true;
  return [...inside.querySelectorAll('input[type=radio], input[type=checkbox]')].some((box) => box.checked);
}

function swap(page) {
  const now = live();
  const fresh = page.querySelector('[data-live]');
  if (!now || !fresh) return;
  const focused = document.activeElement && now.contains(document.activeElement);
  now.replaceWith(fresh);
  tell_keys();
  mark(cards().find((card) => card.id === chosen) || null, focused); // no key is about a card that nobody chose
}

async function refresh(asked) {
  if (left) return;
  const news = document.getElementById('news');
  const answer = await fetch(location.href, { headers: { Accept: 'text/html', 'X-Refresh': '1' }, cache: 'no-store' });
  if (answer.status === 401) return location.assign('/login');
  if (!answer.ok || left) return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const nav = document.querySelector('nav ul');
  const counts = page.querySelector('nav ul');
  if (nav && counts && nav.innerHTML !== counts.innerHTML && !nav.contains(document.activeElement)) nav.replaceWith(counts);
  document.title = page.title;
  const fresh = page.querySelector('[data-live]');
  const text = fresh && fresh.innerHTML;
  if (!live() || text === shown) return;
  if (busy() && !asked) {
    news.hidden = false;
    return;
  }
  news.hidden = true;
  shown = text;
  swap(page);
}

let running = null;
let again = false;
function freshen() {
  if (running) {
    again = true;
    return;
  }
  running = refresh(false).catch(() => {}).finally(() => {
    running = null;
    if (again) {
      again = false;
      freshen();
    }
  });
}

// A second press of a key that settled one card is not meant for the next.
let awake = false;
setTimeout(() => {
  awake = true;
  document.documentElement.dataset.keys = 'awake';
}, 400);

let source = null;
let silent = null; // ends once nothing was heard for longer than beats are apart
const SILENT_MS = 40000;

// What stands here is live, or it says that it is not: 'on', 'off' (nobody answers), 'stale' (the state can't be read).
function say(how) {
  const state = document.getElementById('live-state');
  state.textContent = state.dataset[how];
  state.classList.toggle('off', how !== 'on');
  clearTimeout(silent);
  if (how === 'on') silent = setTimeout(() => say('off'), SILENT_MS);
}

function listen() {
  if (!live() || !document.getElementById('live-state') || source || document.hidden) return;
  source = new EventSource('/api/live');
  source.addEventListener('open', () => say('on'));
  source.addEventListener('error', () => {
    say('off');
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    freshen(); // signed out, or too many pages
    deaf();
    setTimeout(listen, 30000);
  });
  source.addEventListener('stale', () => say('stale'));
  for (const event of ['moved', 'beat']) {
    source.addEventListener(event, () => {
      say('on');
      freshen();
    });
  }
}

function deaf() {
  if (source) source.close();
  source = null;
  clearTimeout(silent);
}

// A browser has few connections to one host: a page that nobody sees gives its own back.
document.addEventListener('visibilitychange', () => (document.hidden ? deaf() : listen()));
addEventListener('pagehide', () => { left = true; deaf(); });
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
document.querySelector('#news button').addEventListener('click', () => refresh(true));

const keys = () => localStorage.getItem('keys') !== 'off';
function tell_keys() {
  const button = document.getElementById('keys');
  if (!button) return;
  button.setAttribute('aria-pressed', String(keys()));
  button.hidden = false;
}
document.addEventListener('click', (event) => {
  if (!event.target.closest('#keys')) return;
  localStorage.setItem('keys', keys() ? 'off' : 'on');
  tell_keys();
});

function typing(target) {
  return target.matches('input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]');
}

addEventListener('keydown', (event) => {
  if (!keys() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target)) return;
  const card = document.getElementById(chosen || '');
  const button = card && card.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
  if (button) {
    event.preventDefault();
    if (!event.repeat && awake) button.click();
  } else if (event.key === 'j') step(1);
  else if (event.key === 'k') step(-1);
  else if (event.key === 'v') document.querySelector('#values button').click();
  else if (event.key === '/') {
    event.preventDefault();
    location.assign('/search');
  }
});

addEventListener('focusin', (event) => {
  const card = event.target.closest('[data-card]');
  if (card) mark(card, false);
});

// A form is sent once, however often somebody clicks.
addEventListener('submit', (event) => {
  if (event.target.dataset.sent) {
    event.preventDefault();
    return;
  }
  event.target.dataset.sent = '1';
  left = true;
  sessionStorage.setItem('at', String(cards().findIndex((card) => card.id === chosen)));
});

const before = Number(sessionStorage.getItem('at')) || 0; // go on where the last one was settled
sessionStorage.removeItem('at');
mark(cards()[Math.max(0, Math.min(cards().length - 1, before))] || null, false);
tell_keys();
listen();
