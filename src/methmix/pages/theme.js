// Light or dark as the system prefers, until the reader switches.
{
  const root = document.documentElement, button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  // A page inside another one may have no storage.
  const storage = (() => { try { return localStorage; } catch { return {}; } })();
  const show = () => {
    root.dataset.theme = storage.methmixTheme ?? (system.matches ? "dark" : "light");
    button.textContent = root.dataset.theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `${button.textContent} colours`);
  };
  button.addEventListener("click", () => {
    storage.methmixTheme = root.dataset.theme === "dark" ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  button.hidden = false;
  show();
}
