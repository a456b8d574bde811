"use strict";
// The films of the training: a slider and a button that plays.
(() => {
  const players = new Map();
  for (const slider of document.querySelectorAll("input.film")) {
    const name = slider.dataset.film;
    const { title, seen, frames } = JSON.parse(document.getElementById(`${name}-data`).textContent);
    const picture = document.getElementById(`${name}-picture`);
    const caption = document.getElementById(`${name}-caption`);
    const show = () => {
      const told = `after ${seen[slider.value].toLocaleString("en")} images`;
      picture.src = `data:image/webp;base64,${frames[slider.value]}`;
      picture.alt = `${title}, ${told}`;
      caption.textContent = told;
      slider.setAttribute("aria-valuetext", told);
    };
    slider.addEventListener("input", show);
    // A browser may restore the position of a slider from the last visit.
    show();
    players.set(name, { slider, show, last: frames.length - 1, timer: null });
  }
  for (const button of document.querySelectorAll("button.play")) {
    const player = players.get(button.dataset.film);
    const stop = () => {
      clearInterval(player.timer);
      player.timer = null;
      button.textContent = "Play";
    };
    button.addEventListener("click", () => {
      if (player.timer) return stop();
      if (+player.slider.value >= player.last) player.slider.value = 0;
      player.show();
      button.textContent = "Stop";
      player.timer = setInterval(() => {
        player.slider.value = +player.slider.value + 1;
        player.show();
        if (+player.slider.value >= player.last) stop();
      }, 250);
    });
    player.slider.addEventListener("pointerdown", stop);
    player.slider.addEventListener("keydown", stop);
  }
})();
