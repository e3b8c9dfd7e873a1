// What the theme's own scripts leave to do: two buttons at the top of a page, and paper that is white.
(() => {
  const does = {
    print: () => window.print(),
    fullscreen: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
  };
  for (const button of document.querySelectorAll("[data-does]")) {
    button.addEventListener("click", does[button.dataset.does]);
  }

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
