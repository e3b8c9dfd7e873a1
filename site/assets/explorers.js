// Puts each explorer in the place of its picture: a stand-in for the model that Jupyter gives an anywidget, and no kernel.
(() => {
  const decode = (value) => {
    const base64 = value?.base64 ?? globalThis.attnbookFiles?.[value?.file];
    if (typeof base64 !== "string") return value;
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
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

  const place = (data) => {
    const figure = document.getElementById(data.dataset.figure);
    const picture = figure.querySelector("img");
    const box = document.createElement("div");
    picture.after(box);
    try {
      const own = model(JSON.parse(data.textContent));
      globalThis.attnbookExplorers[data.dataset.explorer].render({ model: own, el: box });
      box.explorer = own;
      picture.remove();
    } catch (error) {
      // The picture stays.
      box.remove();
      console.error(error);
    }
  };

  // One after the other, so that the page answers its reader in between.
  for (const data of document.querySelectorAll("script[data-explorer]")) setTimeout(place, 0, data);
})();
