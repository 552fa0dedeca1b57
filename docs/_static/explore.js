// The live explorations take the place of their stills, which are printed all the same. Without
// JavaScript the stills stay.

// What anywidget's model is to a module in a notebook; here nobody else listens.
export class Model {
  constructor(state) {
    this.state = { ...state };
    this.listeners = {};
  }
  get(name) {
    return this.state[name];
  }
  set(name, value) {
    if (JSON.stringify(value) === JSON.stringify(this.state[name])) return;
    this.state[name] = value;
    for (const listener of this.listeners[`change:${name}`] ?? []) listener();
  }
  save_changes() {}
  on(event, listener) {
    (this.listeners[event] ??= new Set()).add(listener);
  }
  off(event, listener) {
    if (listener) this.listeners[event]?.delete(listener);
    else delete this.listeners[event];
  }
}

async function mount(still) {
  const { explore: name, state } = still.dataset;
  const here = (file) => new URL(`explore/${file}`, import.meta.url);
  const { default: module } = await import(here(`${name}.js`));
  const data = await (await fetch(here(`${name}.json`))).json();
  const el = document.createElement("div");
  still.after(el);
  module.render({ model: new Model({ ...JSON.parse(state), ...data }), el });
  still.classList.add("live");
  delete still.dataset.explore;
}

for (const still of document.querySelectorAll("[data-explore]")) mount(still);
