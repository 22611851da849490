// Light or dark: as the system has it, until the button says otherwise.
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  return document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light");
}

function themed(plots) {
  const button = document.getElementById("theme");
  const show = () => {
    button.textContent = theme() === "dark" ? "Light" : "Dark";
    for (const plot of plots()) plot.handle?.theme(theme());
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
    show();
  });
  prefersDark.addEventListener("change", show);
  show();
}
