// Puts each explorer in the place of its picture: a stand-in for the model that Jupyter gives an anywidget, and no kernel.
(() => {
  const decode = (value) => {
    if (value === null || typeof value !== "object" || typeof value.base64 !== "string") return value;
    const bytes = Uint8Array.from(atob(value.base64), (character) => character.charCodeAt(0));
    return new DataView(bytes.buffer);
  };

  const model = (state) => {
    const values = Object.fromEntries(Object.entries(state).map(([name, value]) => [name, decode(value)]));
    const handlers = new Map();
    return {
      get: (name) => values[name],
      set: (name, value) => {
        if (values[name] === value) return;
        values[name] = value;
        for (const handler of [...(handlers.get(`change:${name}`) || [])]) handler();
      },
      save_changes: () => {},
      on: (event, handler) => handlers.set(event, [...(handlers.get(event) || []), handler]),
      off: (event, handler) => handlers.set(event, (handlers.get(event) || []).filter((one) => one !== handler)),
    };
  };

  for (const data of document.querySelectorAll("script[data-explorer]")) {
    const figure = document.getElementById(data.dataset.figure);
    const picture = figure.querySelector("img");
    const place = document.createElement("div");
    picture.after(place);
    try {
      const own = model(JSON.parse(data.textContent));
      globalThis.attnbookExplorers[data.dataset.explorer].render({ model: own, el: place });
      place.explorer = own;
      picture.remove();
    } catch (error) {
      // The picture stays.
      place.remove();
      console.error(error);
    }
  }
})();
