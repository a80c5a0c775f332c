// Applies the theme that the user chose before the page is painted. A classic script in the page's head, not a module.
// theme-switch.js stores the choice; without one the system's theme applies.

try {
  const theme = localStorage.getItem("nous-chat:theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // The browser forbids storage.
}
