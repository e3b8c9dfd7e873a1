// What the theme's own scripts leave to do: two buttons at the top of a page, paper that is white, places for the keys.
(() => {
  const does = {
    print: () => window.print(),
    fullscreen: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
  };
  for (const button of document.querySelectorAll("[data-does]")) {
    button.addEventListener("click", does[button.dataset.does]);
  }

  // What scrolls can be reached by keys. The theme measures all of it at once, and the page stands still; here, in pauses.
  const pause = globalThis.requestIdleCallback ?? ((step) => setTimeout(step, 50, { timeRemaining: () => 10 }));
  const measure = (rest) => (time) => {
    do {
      const part = rest.pop();
      if (part && part.scrollWidth > part.clientWidth) part.tabIndex = 0;
    } while (rest.length && time.timeRemaining() > 5);
    if (rest.length) pause(measure(rest));
    else document.documentElement.dataset.measured = "";
  };
  window.addEventListener("load", () => pause(measure([...document.querySelectorAll("pre, .cell_output > .output")])));

  const root = document.documentElement.dataset;
  let theme = root.theme;
  window.addEventListener("beforeprint", () => {
    theme = root.theme;
    root.theme = "light";
  });
  window.addEventListener("afterprint", () => {
    root.theme = theme;
  });
})();
