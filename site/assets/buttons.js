// What the theme's own scripts leave to do: two buttons at the top of a page, paper that is white, places for the keys.
(() => {
  const does = {
    print: () => window.print(),
    fullscreen: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
  };
  for (const button of document.querySelectorAll("[data-does]")) {
    button.addEventListener("click", does[button.dataset.does]);
  }

  // A long page is laid out block by block in pauses (book.css holds it back), and what scrolls gets a place for the keys.
  const pause = globalThis.requestIdleCallback ?? ((step) => setTimeout(step, 50, { timeRemaining: () => 10 }));
  const show = (rest) => (time) => {
    let began;
    do {
      began = performance.now();
      const block = rest.shift();
      if (!block) break;
      block.style.contentVisibility = "visible";
      for (const part of block.querySelectorAll("pre, .cell_output > .output")) {
        if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
      }
    } while (time.timeRemaining() > 5 + performance.now() - began);
    if (rest.length) pause(show(rest));
    else document.documentElement.dataset.measured = "";
  };
  const blocks = document.querySelectorAll(".bd-article > :not(section), .bd-article section > :not(section)");
  window.addEventListener("load", () => pause(show([...blocks])));

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
