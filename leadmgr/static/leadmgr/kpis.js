/* Only one explanation is open at a time; Esc and a click elsewhere close it. Without this they open and close. */

const opened = () => [...document.querySelectorAll(".about[open]")];

document.addEventListener("click", (event) => {
  for (const about of opened()) {
    if (!about.contains(event.target)) about.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const about of opened()) {
    about.open = false;
    about.querySelector("summary").focus();
  }
});
