// Sets the theme that the reader chose, before anything is painted: an ordinary script in the page's head, no module.
// appearance.js keeps the choice; without one the system's counts.

try {
  const theme = localStorage.getItem("nous-chat:theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // The browser forbids storage.
}
